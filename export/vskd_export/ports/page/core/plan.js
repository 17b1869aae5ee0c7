// Reads the plan of an integer network: a JSON header that says where each array lies in the bytes beside it.

const ARRAYS = { int8: Int8Array, int32: Int32Array };

// header: as JSON has it; bytes: an ArrayBuffer, little-endian, every array at a multiple of 4.
export function readPlan(header, bytes) {
  const array = ({ type, offset, shape }) => {
    const values = new ARRAYS[type](bytes, offset, shape.reduce((size, length) => size * length, 1));
    return Object.assign(values, { shape });
  };
  const filled = (step) =>
    Object.fromEntries(Object.entries(step).map(([name, value]) => [name, value?.type ? array(value) : value]));
  return { ...header, places: array(header.places), steps: header.steps.map(filled) };
}
