// The wearer's examples: what they are compared by, how they decide, and the file that holds them (vskd/wearer).

import { movement } from "./classifier.js";
import { Stream } from "./stream.js";

// A recording that is no example, or a file that is no profile; the message is a sentence.
export class NoExample extends Error {}

// A feature as integers within +-127; null where it says nothing or is not finite.
export function rounded(feature, rules) {
  const values = Float32Array.from(feature);
  const largest = values.reduce((sum, value) => Math.max(sum, Math.abs(value)), 0);
  if (!(Math.fround(rules.nothing) < largest && largest < Infinity)) return null;
  const factor = Math.fround(rules.full / largest);
  return Int8Array.from(values, (value) => halfEven(Math.fround(value * factor)));
}

function halfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below & 1) ? below + 1 : below;
}

const dot = (a, b) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

// Embedding and spectrum of a window, as share of a cosine.
export function joined(embedding, samples, rules) {
  const share = rules.spectrum;
  if (share === 0) return embedding;
  const beside = spectrum(samples, rules.amplitudes);
  const scaled = (values, part) => {
    const factor = Math.sqrt(part) / Math.max(Math.sqrt(dot(values, values)), rules.shortest);
    return Array.from(values, (value) => value * factor);
  };
  return [...scaled(Float64Array.from(embedding), 1 - share), ...scaled(beside, share)];
}

// Of each axis its mean, then its amplitudes at 1, 2, ... periods in the window, g.
function spectrum(samples, amplitudes) {
  const count = samples[0].length;
  return samples.flatMap((row) => {
    const found = [row.reduce((sum, value) => sum + value * (1 / count), 0)];
    for (let k = 1; k <= amplitudes; k++) {
      let [cosine, sine] = [0, 0];
      row.forEach((value, i) => {
        const angle = ((2 * Math.PI) / count) * (i * k);
        cosine += value * ((2 / count) * Math.cos(angle));
        sine += value * ((2 / count) * Math.sin(angle));
      });
      found.push(Math.sqrt(cosine * cosine + sine * sine));
    }
    return found;
  });
}

// The decision rule of one set of examples, [{label, feature: Int8Array}].
export class ExampleRule {
  constructor(rules, examples) {
    if (examples.length > rules.examples) throw new NoExample(`this core holds at most ${rules.examples} examples`);
    this.rules = rules;
    this.labels = [...new Set([...rules.labels, ...examples.map((one) => one.label)])];
    this.features = examples.map((one) => one.feature);
    this.lengths = this.features.map((feature) => Math.sqrt(dot(feature, feature)));
    const places = [...new Set(examples.map((one) => this.labels.indexOf(one.label)))].sort((a, b) => a - b);
    this.activities = places.map((place) => {
      const rows = [...examples.keys()].filter((row) => examples[row].label === this.labels[place]);
      const { example_logits: logits, example_weights: weights, example_neutral: neutrals } = rules;
      const fitted = Math.min(rows.length, logits.length) - 1;
      const coefficient = rules.uses_means ? this.perLength(rows) : 1;
      return { place, rows, own: logits[fitted], weight: weights[fitted], neutral: neutrals[fitted], coefficient };
    });
    this.places = new Set(places);
    this.triangle = rules.uses_ridge ? this.factorized() : null;
  }

  cosine(one, other) {
    return dot(this.features[one], this.features[other]) / (this.lengths[one] * this.lengths[other]);
  }

  // One over the length of the sum of some examples, each of unit length.
  perLength(rows) {
    let square = 0;
    for (const one of rows) for (const other of rows) square += this.cosine(one, other);
    return 1 / Math.max(Math.sqrt(Math.max(square, 0)), this.rules.nothing);
  }

  // Cholesky's triangle of the examples' cosines to each other, with the ridge on the diagonal.
  factorized() {
    const rows = [];
    for (const one of this.features.keys()) {
      const own = new Float64Array(one + 1);
      let rest = this.cosine(one, one) + this.rules.ridge;
      for (let place = 0; place < one; place++) {
        let sum = this.cosine(one, place);
        for (let before = 0; before < place; before++) sum -= own[before] * rows[place][before];
        own[place] = sum / rows[place][place];
        rest -= own[place] * own[place];
      }
      own[one] = Math.sqrt(rest);
      rows.push(own);
    }
    return rows;
  }

  // What each example adds to its activity's score, of its cosine to the window.
  parts(cosines) {
    if (!this.triangle) return cosines;
    const found = cosines.slice();
    for (let place = 0; place < found.length; place++) {
      const row = this.triangle[place];
      for (let other = 0; other < place; other++) found[place] -= row[other] * found[other];
      found[place] /= row[place];
    }
    for (let place = found.length - 1; place >= 0; place--) {
      const row = this.triangle[place];
      found[place] /= row[place];
      for (let other = 0; other < place; other++) found[other] -= row[other] * found[place];
    }
    return found;
  }

  // The z of each label of one window, and its cosine to the nearest of all examples; null: not finite.
  mixed(logits, embedding, samples) {
    const feature = joined(embedding, samples, this.rules);
    const width = this.features[0].length;
    if (feature.length !== width)
      throw new NoExample(`an example has ${width} values, and this model's features have ${feature.length}: remove it`);
    const values = rounded(feature, this.rules);
    if (!values && !feature.every(Number.isFinite)) return null;
    const length = values && Math.sqrt(dot(values, values));
    const scaled = Array.from(logits, (value) => value / this.rules.temperature);
    const top = Math.max(...scaled);
    const mixed = this.labels.map((_, i) => (i < scaled.length ? scaled[i] : top));
    const cosines = this.features.map((one, i) => (values ? dot(values, one) / (length * this.lengths[i]) : 0));
    const parts = this.parts(cosines);
    const addsUp = this.rules.uses_means || this.rules.uses_ridge;
    for (const { place, rows, own, weight, neutral, coefficient } of this.activities) {
      const score = addsUp
        ? rows.reduce((sum, row) => sum + parts[row] * coefficient, 0)
        : Math.max(...rows.map((row) => parts[row]));
      mixed[place] = top + own * (mixed[place] - top) + weight * (score - neutral);
    }
    return { values: mixed, cosine: Math.max(...cosines) };
  }
}

// One example of a recording, [[time in the stream's unit, x, y, z], ...]: its rounded feature.
export function exampleOf(rules, infer, options, recording) {
  const stream = new Stream(rules, options);
  const items = recording.flatMap((sample) => stream.push(...sample));
  const windows = [...items, ...stream.finish()].filter((item) => !item.pause);
  if (!windows.length)
    throw new NoExample(`the recording holds no window of ${rules.window_s} s`);
  const known = windows.filter((window) => !window.defects.some((defect) => defect.label));
  if (!known.length) throw new NoExample(`no window of the recording can be known: ${windows[0].defects.find((one) => one.label).kind}`);
  const moving = known.filter((window) => !isStill(window.samples, rules));
  if (!moving.length) throw new NoExample("the wrist does not move in this recording");
  const features = moving.map((window) => joined(infer(window.samples).embedding, window.samples, rules));
  const lengths = features.map((feature) => Math.sqrt(dot(feature, feature)));
  const isUsable = lengths.every((length) => length > rules.nothing && Number.isFinite(length));
  const mean = Array.from(features[0], (_, i) =>
    features.reduce((sum, feature, window) => sum + feature[i] / lengths[window], 0) / features.length,
  );
  const found = isUsable ? rounded(mean, rules) : null;
  if (!found) throw new NoExample("the model sees nothing in this recording");
  return found;
}

// Whether the motion gate keeps a window from the network; without a gate, whether no axis moves.
function isStill(samples, rules) {
  let variance = 0;
  for (const row of samples) {
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
    variance += row.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / row.length;
  }
  return Math.sqrt(variance) < rules.still_g || movement(samples) < rules.still_below_g;
}

// What speaks against a further example of a label, in a sentence; empty where nothing does.
export function contradiction(examples, label, feature) {
  const cosine = (one) =>
    dot(one.feature, feature) / (Math.sqrt(dot(feature, feature)) * Math.sqrt(dot(one.feature, one.feature)));
  const own = examples.filter((one) => one.label === label).map(cosine);
  if (!own.length) return "";
  const nearest = examples.reduce((best, one) => (cosine(one) > cosine(best) ? one : best));
  if (cosine(nearest) <= Math.max(...own)) return "";
  return `it is nearer to an example of ${nearest.label} than to those of ${label}`;
}

// The file of vskd/wearer/profile.py: "vskd profile 1", SHA-256 of the rest, a header, the features row by row.
const MAGIC = "vskd profile 1\n";
const encode = (text) => new TextEncoder().encode(text);
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

export async function profileToBytes({ bundleSha256, contractSha256, examples }) {
  const labels = [...new Set(examples.map((one) => one.label))];
  const header = {
    bundle_sha256: bundleSha256,
    contract_sha256: contractSha256,
    features: examples.length ? examples[0].feature.length : 0,
    labels,
    label_of: examples.map((one) => labels.indexOf(one.label)),
    when_s: examples.map((one) => one.whenS),
    recordings: examples.map((one) => one.recording ?? ""),
  };
  const content = new Blob([JSON.stringify(header), "\n", ...examples.map((one) => one.feature)]);
  const bytes = new Uint8Array(await content.arrayBuffer());
  const claimed = hex(await crypto.subtle.digest("SHA-256", bytes));
  return new Uint8Array(await new Blob([MAGIC, claimed, "\n", bytes]).arrayBuffer());
}

export async function profileFromBytes(bytes, { bundleSha256, labelProblem }) {
  const fail = (why) => {
    throw new NoExample(`this file holds no profile of this model: ${why}`);
  };
  if (bytes.length > 2 ** 20) fail("it has more than 1 MB");
  const start = encode(MAGIC);
  if (!start.every((byte, i) => bytes[i] === byte)) fail("it does not begin as one");
  const content = bytes.subarray(start.length + 65);
  const claimed = new TextDecoder().decode(bytes.subarray(start.length, start.length + 65));
  if (`${hex(await crypto.subtle.digest("SHA-256", content))}\n` !== claimed) fail("it is damaged, its hash is another");
  const end = content.indexOf(10);
  const header = headerOf(content.subarray(0, Math.max(end, 0))) ?? fail("its header cannot be read");
  if (header.bundle_sha256 !== bundleSha256) fail("it was made with another model");
  const [count, width] = [header.label_of.length, header.features];
  const features = content.slice(end + 1);
  const columns = [header.when_s, header.recordings];
  if (features.length !== count * width || count > 256 || columns.some((column) => column.length !== count))
    fail("its header does not fit its features");
  return header.label_of.map((index, row) => {
    const label = header.labels[index] ?? fail("an example has a label that is not there");
    const why = labelProblem(label);
    if (why) fail(`a label ${why}`);
    const feature = new Int8Array(features.buffer, row * width, width).slice();
    if (feature.reduce((most, value) => Math.max(most, Math.abs(value)), 0) !== 127)
      fail("the largest entry of an example is not 127");
    return { label, whenS: header.when_s[row], recording: header.recordings[row], feature };
  });
}

// The header's fields, if they are what they must be; else null.
function headerOf(bytes) {
  const isWhole = (value) => Number.isSafeInteger(value) && value >= 0;
  const isText = (value) => typeof value === "string";
  const all = (is) => (values) => Array.isArray(values) && values.every(is);
  const fields = {
    bundle_sha256: isText, contract_sha256: isText, features: isWhole,
    labels: all(isText), label_of: all(isWhole), when_s: all(isWhole), recordings: all(isText),
  };
  try {
    const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return Object.entries(fields).every(([name, is]) => is(header[name])) ? header : null;
  } catch {
    return null;
  }
}
