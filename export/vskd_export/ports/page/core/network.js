// The integer network, from its plan: vskd/plan/kernels.py, which is TensorFlow Lite Micro's arithmetic bit by bit.

import { encoder } from "./encode.js";
import { rescaled } from "./rescaled.js";

const ADDITION_SHIFT = 20;
const STEPS = { convolution, addition, pooling, mean, concatenation };

// encoding: of the contract, see encode.js. A function that gives {logits, embedding, encoded} of a window; the embedding is null where the model has none.
export function network(encoding, plan) {
  const tensors = plan.tensors.map(({ shape }) => new Int8Array(shape[0] * shape[1] * shape[2]));
  const encode = encoder(encoding, plan);
  const run = plan.steps.map((step) => STEPS[step.kind](step, plan.tensors, tensors));
  const values = (number) => {
    if (number === null) return null;
    const { scale, zero_point: zeroPoint } = plan.tensors[number];
    return Float32Array.from(tensors[number], (q) => scale * (q - zeroPoint));
  };
  return (window) => {
    encode(window, tensors[0]);
    for (const step of run) step();
    return { logits: values(plan.logits), embedding: values(plan.embedding), encoded: tensors[0] };
  };
}

const clamped = (value, low, high) => (value < low ? low : value > high ? high : value);

function convolution(step, known, tensors) {
  return step.weights.shape.length === 3 ? depthwise(step, known, tensors) : dense(step, known, tensors);
}

// Calls see(row, column, where) for each element under the kernel of each pixel to make, and made(pixel) after it.
// where is its place in the source, pixel by pixel, or -1 outside.
function eachPatch({ stride, padding }, [kernelRows, kernelColumns], [rows, columns], [height, width], see, made) {
  for (let y = 0, pixel = 0; y < height; y++) {
    for (let x = 0; x < width; x++, pixel++) {
      for (let ky = 0, place = 0; ky < kernelRows; ky++) {
        const row = y * stride[0] - padding[0] + ky;
        for (let kx = 0; kx < kernelColumns; kx++, place++) {
          const column = x * stride[1] - padding[1] + kx;
          const isInside = row >= 0 && row < rows && column >= 0 && column < columns;
          see(place, isInside ? row * columns + column : -1);
        }
      }
      made(pixel);
    }
  }
}

function dense(step, known, tensors) {
  const { weights, biases, multipliers, shifts, low, high, reads } = step;
  const [outputs, kernelRows, kernelColumns, inputs] = weights.shape;
  const size = kernelRows * kernelColumns * inputs;
  const [source, target] = [tensors[step.source], tensors[step.target]];
  const outside = known[step.source].zero_point;
  const { shape, zero_point: zeroPoint } = known[step.target];
  const patch = new Int8Array(size);
  const see = (place, where) => {
    const at = place * inputs;
    if (where < 0) patch.fill(outside, at, at + inputs);
    else for (let i = 0, from = where * inputs; i < inputs; i++) patch[at + i] = source[from + i];
  };
  const made = (pixel) => {
    const at = pixel * outputs;
    for (let o = 0, w = 0; o < outputs; o++, w += size) {
      const sum = biases[o] + product(patch, weights, w, size);
      target[at + o] = clamped(rescaled(sum, multipliers[o], shifts[o]) + zeroPoint, low, high);
    }
  };
  return () => eachPatch(step, [kernelRows, kernelColumns], reads, shape, see, made);
}

function product(patch, weights, from, size) {
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < size; i += 4) {
    a = (a + patch[i] * weights[from + i]) | 0;
    b = (b + patch[i + 1] * weights[from + i + 1]) | 0;
    c = (c + patch[i + 2] * weights[from + i + 2]) | 0;
    d = (d + patch[i + 3] * weights[from + i + 3]) | 0;
  }
  for (; i < size; i++) a = (a + patch[i] * weights[from + i]) | 0;
  return (a + b + c + d) | 0;
}

function depthwise(step, known, tensors) {
  const { weights, biases, multipliers, shifts, low, high, reads } = step;
  const [kernelRows, kernelColumns, channels] = weights.shape;
  const [source, target] = [tensors[step.source], tensors[step.target]];
  const outside = known[step.source].zero_point;
  const { shape, zero_point: zeroPoint } = known[step.target];
  const sums = Int32Array.from(biases);
  const see = (place, where) => {
    const at = place * channels;
    for (let c = 0, from = where * channels; c < channels; c++)
      sums[c] += (where < 0 ? outside : source[from + c]) * weights[at + c];
  };
  const made = (pixel) => {
    const at = pixel * channels;
    for (let c = 0; c < channels; c++)
      target[at + c] = clamped(rescaled(sums[c], multipliers[c], shifts[c]) + zeroPoint, low, high);
    sums.set(biases);
  };
  return () => eachPatch(step, [kernelRows, kernelColumns], reads, shape, see, made);
}

function addition(step, known, tensors) {
  const [one, other] = step.sources.map((number) => tensors[number]);
  const [ofOne, ofOther] = step.sources.map((number) => known[number].zero_point);
  const [scaleOne, scaleOther] = step.rescalings;
  const target = tensors[step.target];
  const { result, low, high } = step;
  const zeroPoint = known[step.target].zero_point;
  const term = (q, zero, { multiplier, shift }) => rescaled((q - zero) * 2 ** ADDITION_SHIFT, multiplier, shift);
  // A term depends on one byte: all of them are made once.
  const table = (zero, scale) => Int32Array.from({ length: 256 }, (_, i) => term(i - 128, zero, scale));
  const [terms, others] = [table(ofOne, scaleOne), table(ofOther, scaleOther)];
  return () => {
    for (let i = 0; i < target.length; i++) {
      const sum = terms[one[i] + 128] + others[other[i] + 128];
      target[i] = clamped(rescaled(sum, result.multiplier, result.shift) + zeroPoint, low, high);
    }
  };
}

function pooling(step, known, tensors) {
  const { kernel, low, high, is_average: isAverage } = step;
  const [source, target] = [tensors[step.source], tensors[step.target]];
  const shape = known[step.target].shape;
  const channels = shape[2];
  const found = new Int32Array(channels);
  let count = 0;
  const begin = () => {
    found.fill(isAverage ? 0 : -128);
    count = 0;
  };
  const see = (_, where) => {
    if (where < 0) return;
    count++;
    for (let c = 0, from = where * channels; c < channels; c++)
      found[c] = isAverage ? found[c] + source[from + c] : Math.max(found[c], source[from + c]);
  };
  const made = (pixel) => {
    const half = count >> 1;
    for (let c = 0; c < channels; c++) {
      const value = isAverage ? Math.trunc((found[c] + (found[c] > 0 ? half : -half)) / count) : found[c];
      target[pixel * channels + c] = clamped(value, low, high);
    }
    begin();
  };
  begin();
  return () => eachPatch(step, kernel, known[step.source].shape, shape, see, made);
}

function mean(step, known, tensors) {
  const [source, target] = [tensors[step.source], tensors[step.target]];
  const [rows, columns, channels] = known[step.source].shape;
  const count = rows * columns;
  const { zero_point: zeroPoint } = known[step.target];
  const ofSource = known[step.source].zero_point;
  return () => {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let i = c; i < source.length; i += channels) sum += source[i];
      if (step.rescaling === null) {
        target[c] = Math.trunc(sum / count);
        continue;
      }
      const { multiplier, shift } = step.rescaling;
      target[c] = clamped(rescaled(sum - ofSource * count, multiplier, shift) + zeroPoint, -128, 127);
    }
  };
}

function concatenation(step, known, tensors) {
  const target = tensors[step.target];
  const shape = known[step.target].shape;
  const inner = (of) => of.slice(step.axis).reduce((size, length) => size * length, 1);
  const row = inner(shape);
  let begin = 0;
  const copies = step.sources.map((number) => {
    const length = inner(known[number].shape);
    const at = begin;
    begin += length;
    return () => {
      const source = tensors[number];
      for (let i = 0, to = at; i < source.length; i += length, to += row) target.set(source.subarray(i, i + length), to);
    };
  });
  return () => copies.forEach((copy) => copy());
}
