// How a CSV file is laid out: the keys of [layout] in dataset.toml, which --layout of vskd run takes (vskd/sources/layout.py).

const UNITS = { time_s: "s", time_ms: "ms", time_us: "us", time_ns: "ns" };
const DEFAULTS = {
  separator: ",", decimal: ".", skip_lines: 0, comment: "", header: true, time: "", time_unit: "", rate_hz: 0,
  x: "ax", y: "ay", z: "az", scale: 1,
};
const CHOICES = {
  separator: [",", ";", "tab", "blanks"],
  decimal: [".", ","],
  time_unit: ["", "s", "ms", "us", "ns", "iso"],
};

// A layout from lines of "key = value", as dataset.toml has them; what is no value in TOML is text.
export function readLayout(text) {
  const layout = { ...DEFAULTS };
  for (const line of text.split(/\r?\n/)) {
    const entry = line.trim();
    if (!entry || entry.startsWith("#") || entry.startsWith("[")) continue;
    const [key, ...rest] = entry.split("=");
    const name = key.trim();
    if (!rest.length) throw new Error(`The layout's line '${entry}' is no key = value.`);
    if (!(name in DEFAULTS))
      throw new Error(`The layout has no key ${name}. It has: ${Object.keys(DEFAULTS).join(", ")}.`);
    layout[name] = value(rest.join("=").trim());
  }
  refuseImpossible(layout);
  return layout;
}

function value(text) {
  const [, inside] = /^\[(.*)\]$/.exec(text) ?? [];
  if (inside !== undefined) return inside.split(",").map((one) => value(one.trim())).filter((one) => one !== "");
  const [, quoted] = /^(?:"([^"]*)"|'[^']*')(?:\s+#.*)?$/.exec(text) ?? [];
  if (quoted !== undefined) return quoted.replaceAll("\\t", "\t");
  if (/^'[^']*'/.test(text)) return text.slice(1, text.indexOf("'", 1));
  if (text === "true" || text === "false") return text === "true";
  return /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

function refuseImpossible(layout) {
  for (const [key, choices] of Object.entries(CHOICES))
    if (!choices.includes(layout[key])) {
      const known = choices.filter(Boolean).join(" ");
      const elsewhere = key === "time_unit" ? " vskd run also takes a format of strptime." : "";
      throw new Error(`${key} of the layout cannot be '${layout[key]}' in this page. It takes: ${known}.${elsewhere}`);
    }
  for (const key of ["skip_lines", "rate_hz", "scale"])
    if (typeof layout[key] !== "number" || layout[key] < (key === "scale" ? -Infinity : 0) || (key === "scale" && !layout.scale))
      throw new Error(`${key} of the layout cannot be '${layout[key]}'.`);
  if (typeof layout.header !== "boolean") throw new Error("header of the layout is true or false.");
  if (layout.separator === layout.decimal) throw new Error("separator and decimal are both a comma.");
  if (layout.time === "none" && !layout.rate_hz) throw new Error("time = none needs rate_hz, which is 0.");
}

// The cells of a line; null where a quote is not closed.
export function cellsOf(line, { separator }) {
  const text = separator === "," ? line.replace(/[\r\n; ]+$/, "") : line.replace(/[\r\n]+$/, "");
  if (!text.includes('"')) {
    if (separator === "blanks") return text.trim().split(/\s+/);
    return text.split(separator === "tab" ? "\t" : separator);
  }
  if (text.split('"').length % 2 === 0) return null;
  const [cells, delimiter] = [[], { tab: "\t", blanks: " " }[separator] ?? separator];
  for (let at = 0; at <= text.length; ) {
    while (text[at] === " " && delimiter !== " ") at++;
    let end = text[at] === '"' ? closing(text, at) : at;
    while (end < text.length && text[end] !== delimiter) end++;
    const cell = text.slice(at, end);
    cells.push(cell.startsWith('"') ? cell.trim().slice(1, -1).replaceAll('""', '"') : cell);
    at = end + 1;
  }
  return cells;
}

function closing(text, at) {
  for (let end = at + 1; end < text.length; end++) {
    if (text[end] !== '"') continue;
    if (text[end + 1] !== '"') return end + 1;
    end++;
  }
  return text.length;
}

// Where the time and the terms of the axes stand in a row of these names, and the unit of the times.
export function columnsOf(layout, names) {
  const axes = ["x", "y", "z"].map((axis) => [layout[axis]].flat().map((column) => term(column, layout, names)));
  return { axes, ...timeOf(layout, names), width: names.length };
}

function timeOf(layout, names) {
  if (layout.time === "none") return { time: null, timeUnit: "s" };
  if (layout.time !== "") {
    const timeUnit = layout.time_unit || UNITS[layout.time];
    if (!timeUnit) throw new Error(`The unit of the time column '${layout.time}' is not known: write time_unit (s, ms, us, ns, iso).`);
    return { time: term(layout.time, layout, names).place, timeUnit: timeUnit === "iso" ? "us" : timeUnit, isIso: timeUnit === "iso" };
  }
  const known = layout.header ? names.filter((name) => name in UNITS) : [];
  if (known.length > 1) throw new Error(`There are ${known.length} time columns: ${known.join(", ")}. Write time = one of them.`);
  if (known.length) return { time: names.indexOf(known[0]), timeUnit: UNITS[known[0]] };
  if (layout.rate_hz) return { time: null, timeUnit: "s" };
  throw new Error("There is no time column (time_s, time_ms, time_us, time_ns): write time and time_unit, or rate_hz.");
}

function term(column, layout, names) {
  const isThere = layout.header && names.includes(column);
  if (typeof column === "string" && layout.header && !isThere && /^[+-]/.test(column)) {
    const { place } = term(column.slice(1), layout, names);
    return { place, sign: column.startsWith("-") ? -1 : 1 };
  }
  const number = typeof column === "number" || (!isThere && /^[+-]?\d+$/.test(column)) ? Number(column) : null;
  if (number !== null) {
    if (!(Number.isInteger(number) && Math.abs(number) >= 1 && Math.abs(number) <= names.length))
      throw new Error(`There is no column ${column}; they count from 1 to ${names.length}.`);
    return { place: Math.abs(number) - 1, sign: number < 0 ? -1 : 1 };
  }
  if (!layout.header) throw new Error(`The column '${column}' is named, and header = false: give its number, from 1.`);
  if (!isThere) throw new Error(`The line of names lacks '${column}'.`);
  if (names.indexOf(column) !== names.lastIndexOf(column)) throw new Error(`The column '${column}' is there twice: give its number.`);
  return { place: names.indexOf(column), sign: 1 };
}
