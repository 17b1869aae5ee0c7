// Sentences for the core's codes, and the rule for names.

const g = (value, digits = 2) => `${value.toFixed(digits)} g`;
const percent = (value) => `${Math.round(100 * value)} %`;
const AXES_OUT = "check the axes in the sensor settings, and the wrist that wears it";

const SENTENCES = {
  improbable: ({ value }) => `the most probable activity has only ${percent(value)}`,
  "far from examples": ({ value }) => `unlike your examples (cosine ${value.toFixed(2)})`,
  "not finite": () => "the model's answer is not finite",
  still: ({ value }) => `the wrist rests: |a| varies by ${g(value, 3)}`,
  "no samples": ({ value }) => `no samples for ${value.toFixed(1)} s`,
  frozen: ({ value }) => `no axis changes for ${percent(value)} of the window`,
  zeros: ({ value }) => `all axes read 0 for ${percent(value)} of the window`,
  "no gravity": ({ value }) => `|a| is ${g(value)}, and gravity alone makes it 1 g`,
  "equal axes": () => "two axes read the same throughout",
  saturated: ({ value }) => `${percent(value)} of the samples reach the sensor's range in training`,
  "cut off": ({ value, atG }) => `${percent(value)} of the samples stay at ${g(atG)}, as at the end of a range`,
  rate: ({ value }) => `the sensor runs at ${value.toFixed(1)} Hz, unlike in training`,
  "rate too low": ({ value }) => `the sensor runs at ${value.toFixed(1)} Hz, too slow for this model`,
  "gravity not removed": ({ value }) => `the mean reading is ${g(value)} long, and this model wants gravity removed`,
  "below gravity": ({ value }) => `|a| is ${g(value)}, and gravity alone makes it 1 g: check the unit`,
  "beyond gravity at rest": ({ value }) => `at rest |a| is ${g(value)}, and gravity alone makes it 1 g: check the unit`,
  "as without gravity": () => "the readings seem to be without gravity, and this model needs it",
  "mean beyond training": ({ value }) => `the mean reading is ${g(value)} long, beyond anything in training`,
  "rms beyond training": ({ value }) => `|a| is ${g(value)} on average, beyond anything in training`,
  "dead axis": ({ axis }) => `axis ${"xyz"[axis]} reads one value throughout`,
  direction: () => `gravity points elsewhere than in training: ${AXES_OUT}`,
  "opposite axes": () => "all axes seem opposite: change their signs in the sensor settings",
};

// Why an event is no activity, or what is doubtful about it; empty where nothing is.
export function sentence(reason) {
  return reason ? SENTENCES[reason.code](reason) : "";
}

const UNITS = {
  g: "It looks like g: choose that unit in the sensor settings.",
  "m/s^2": "It looks like m/s²: choose that unit in the sensor settings.",
  "without gravity": "It looks like acceleration without gravity, which this model was not trained on.",
  "raw counts": "It looks like raw counts.",
};

export function wrongUnit({ median, unit, looksLike }) {
  return `The median reading is ${median.toPrecision(3)} ${unit}, and gravity alone makes it ${unit === "g" ? "1" : "9.81"}. ${UNITS[looksLike]}`;
}

const RESERVED = ["still", "unknown", "no signal"];

// Why a text cannot be a name, as the rest of a sentence; empty where it can: vskd/untrusted/text.py, but for rare signs.
export function nameProblem(text) {
  if (!text) return "is empty";
  if (text.length > 100) return "has more than 100 characters";
  if (/[\p{C}\p{Zl}\p{Zp}]|\p{Default_Ignorable_Code_Point}|(?! )\p{Zs}/u.test(text)) return "holds an invisible character";
  if (text !== text.trim()) return "begins or ends with a blank";
  return text === text.normalize("NFC") ? "" : "is not in Unicode's composed normal form";
}

export function labelProblem(text) {
  const folded = text.normalize("NFKC").toLowerCase().split(/\s+/).join(" ");
  return nameProblem(text) || (RESERVED.includes(folded) ? "is what vskd calls an event without an activity" : "");
}
