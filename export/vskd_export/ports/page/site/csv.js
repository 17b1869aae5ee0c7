// A CSV of samples, by its layout: time_s (or time_ms, time_us, time_ns), ax, ay, az under a header where nothing else is said;
// ax_g, ay_g, az_g or ax_ms2, ay_ms2, az_ms2 state their unit.

import { cellsOf, columnsOf, readLayout } from "./layout.js";

const MOST_CHARACTERS = 200e6;
const WAY_OUT = "Name the columns time_s,ax,ay,az, or describe the file in the sensor settings, under layout.";

// {unit, timeUnit, time, xyz, bad}, unit where the columns state it; an Error whose message is a sentence where the text is none.
export function readCsv(text, described = "") {
  if (text.length > MOST_CHARACTERS) throw new Error("The file has more than 200 MB. Cut a part out of it.");
  const layout = readLayout(described);
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/).slice(layout.skip_lines);
  const rows = layout.comment ? lines.filter((line) => !line.trimStart().startsWith(layout.comment)) : lines;
  const [end, unit] = described.trim() ? [] : stated(rows[0] ?? "");
  if (unit) Object.assign(layout, { x: `ax${end}`, y: `ay${end}`, z: `az${end}` });
  const columns = found(layout, rows[0] ?? "");
  const [time, xyz] = [[], []];
  const spread = spreading(layout, columns);
  let [index, bad] = [0, 0];
  for (const line of layout.header ? rows.slice(1) : rows) {
    if (!line.trim()) continue;
    try {
      const row = rowOf(cellsOf(line, layout), layout, columns, index++);
      time.push(spread(row.when));
      xyz.push(row.xyz);
    } catch (error) {
      if (!(error instanceof NoSample)) throw error;
      bad++;
    }
  }
  if (time.length < bad || !time.length) throw new Error(`Of ${time.length + bad} lines ${bad} are no samples. ${WAY_OUT}`);
  const isBig = time.some((when) => typeof when === "bigint");
  const wholes = isBig ? time.map((when) => BigInt(typeof when === "bigint" ? when : Math.round(when))) : time;
  return { unit, timeUnit: columns.timeUnit, time: wholes, xyz, bad };
}

// The end of the axes' names that states their unit, and the unit.
function stated(line) {
  const cells = line.split(",").map((cell) => cell.trim());
  const units = [["_g", "g"], ["_ms2", "m/s^2"]];
  return units.find(([end]) => ["ax", "ay", "az"].every((axis) => cells.includes(axis + end))) ?? [];
}

function found(layout, line) {
  const cells = (cellsOf(line, layout) ?? []).map((cell) => cell.trim());
  try {
    return columnsOf(layout, layout.header ? cells : cells.map(() => ""));
  } catch (error) {
    throw new Error(`${error.message} ${otherSeparator(line, cells.length)}The line is: ${line.trim().slice(0, 80)}. ${WAY_OUT}`);
  }
}

function otherSeparator(line, cells) {
  const [best] = [[";", ";"], ["\t", "tab"], [",", ","]].sort(([a], [b]) => line.split(b).length - line.split(a).length);
  return line.split(best[0]).length > Math.max(2, cells) ? `The columns seem to be separated by ${best[1]}: write separator = "${best[1]}". ` : "";
}

class NoSample extends Error {}

// Time and readings of a row; NoSample where it is none.
function rowOf(cells, layout, { axes, time, isIso, timeUnit, width }, index) {
  if (cells?.length !== width) throw new NoSample();
  const clock = isIso ? isoUs : (text) => timeOf(text, timeUnit, layout);
  const when = time === null ? index / layout.rate_hz : clock(cells[time].trim());
  const sum = (terms) => terms.reduce((total, { place, sign }) => total + sign * number(cells[place], layout), 0);
  return { when, xyz: axes.map((terms) => layout.scale * sum(terms)) };
}

// Nanoseconds since 1970 need more digits than a number has.
function timeOf(text, timeUnit, layout) {
  const when = number(text, layout);
  const isWhole = timeUnit !== "s" && /^-?\d+$/.test(text);
  return isWhole && !Number.isSafeInteger(when) ? BigInt(text) : when;
}

// A cell as a number; an empty one is NaN, which the stream drops and counts.
function number(cell, { decimal }) {
  const text = cell.trim();
  if (!text || /^[+-]?nan$/i.test(text)) return NaN;
  const plain = decimal === "," ? text.replace(".", "?").replace(",", ".") : text;
  const infinite = /^([+-]?)inf(inity)?$/i.exec(plain);
  if (infinite) return infinite[1] === "-" ? -Infinity : Infinity;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) throw new NoSample();
  return Number(plain);
}

// An ISO 8601 date and time as microseconds since 1970; a clock without a zone is taken as UTC.
function isoUs(text) {
  const parts = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.:,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  if (!parts) throw new NoSample();
  const [, date, clock, seconds = "00", fraction = "", zone = "Z"] = parts;
  const ms = Date.parse(`${date}T${clock}:${seconds}${zone.replace(/^([+-]\d\d):?(\d\d)$/, "$1:$2")}`);
  if (Number.isNaN(ms)) throw new NoSample();
  return ms * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

// Rows that share a time follow each other at the stated rate; without a stated rate they are left as they are.
function spreading({ rate_hz: rateHz }, { time, timeUnit }) {
  if (time === null || !rateHz) return (when) => when;
  const step = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 }[timeUnit] / rateHz;
  let [origin, stamp, last, count] = [null, null, 0, 0];
  return (when) => {
    origin ??= when;
    const due = Number(when - origin); // whole nanoseconds stay whole
    const isShared = due === stamp;
    const ahead = count > 1 && due > stamp ? last - due : -1;
    const runsAhead = ahead >= 0 && ahead <= step * Math.max(1, 0.1 * count);
    last = isShared || runsAhead ? last + step : due;
    count = isShared ? count + 1 : 1;
    stamp = due;
    if (last === due) return when;
    return typeof when === "bigint" ? origin + BigInt(Math.round(last)) : origin + last;
  };
}
