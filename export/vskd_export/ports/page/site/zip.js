// A zip file of uncompressed entries (PKWARE APPNOTE 6.3, sections 4.3 and 4.4).

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// Fields of 2 or 4 bytes, little-endian.
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((size, [length]) => size + length, 0)));
  let at = 0;
  for (const [length, value] of fields) {
    if (length === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += length;
  }
  return view;
}

const UTF8_NAMES = 0x0800;
const DATE_1980 = 0x0021;

// files: name -> text. Gives a Blob.
export function zip(files) {
  const [parts, directory] = [[], []];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const [bytes, title] = [text, name].map((one) => new TextEncoder().encode(one));
    const described = [
      [2, 20], [2, UTF8_NAMES], [2, 0], [2, 0], [2, DATE_1980],
      [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, title.length], [2, 0],
    ];
    parts.push(record([4, 0x04034b50], ...described), title, bytes);
    directory.push(record([4, 0x02014b50], [2, 20], ...described, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), title);
    offset += 30 + title.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const count = directory.length / 2;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
