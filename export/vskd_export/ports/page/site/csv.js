// A CSV of samples: time_s (or time_ms, time_us, time_ns), ax, ay, az under a header; other columns are passed over.

const TIMES = { time_s: "s", time_ms: "ms", time_us: "us", time_ns: "ns" };
const MOST_CHARACTERS = 200e6;

// {timeUnit, time, xyz, bad}; an Error whose message is a sentence where the text is none.
export function readCsv(text) {
  if (text.length > MOST_CHARACTERS) throw new Error("The file has more than 200 MB. Cut a part out of it.");
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const names = lines[0].split(",").map((name) => name.trim());
  const times = Object.keys(TIMES).filter((name) => names.includes(name));
  const missing = ["ax", "ay", "az"].filter((name) => !names.includes(name));
  if (times.length !== 1 || missing.length)
    throw new Error("The first line must name the columns: time_s,ax,ay,az (or time_ms, time_us, time_ns).");
  const timeUnit = TIMES[times[0]];
  const places = [times[0], "ax", "ay", "az"].map((name) => names.indexOf(name));
  const [time, xyz] = [[], []];
  let bad = 0;
  for (const line of lines.slice(1)) {
    if (!line.trim()) continue;
    const cells = line.split(",");
    const [when, ...values] = places.map((place) => number(cells[place]));
    if (cells.length !== names.length || [when, ...values].includes(null)) {
      bad++;
      continue;
    }
    // Nanoseconds since 1970 need more digits than a number has.
    const isWhole = timeUnit !== "s" && /^\s*-?\d+\s*$/.test(cells[places[0]]);
    time.push(isWhole && !Number.isSafeInteger(when) ? BigInt(cells[places[0]].trim()) : when);
    xyz.push(values);
  }
  if (time.length < bad || !time.length) throw new Error(`Of ${time.length + bad} lines ${bad} are no samples.`);
  const isBig = time.some((when) => typeof when === "bigint");
  return { timeUnit, time: isBig ? time.map((when) => BigInt(when)) : time, xyz, bad };
}

// A cell as a number; an empty one is NaN, as for vskd; null where it is none.
function number(cell = "x") {
  const text = cell.trim();
  if (!text || /^nan$/i.test(text)) return NaN;
  const value = Number(text);
  return Number.isNaN(value) || /^0[xob]/i.test(text) ? null : value;
}
