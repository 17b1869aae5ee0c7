// A window becomes the network's first tensor: vskd/plan/encode.py, in float32, every operation rounded.

import { decay, tanh } from "./float32.js";
import { rescaled } from "./rescaled.js";

const f = Math.fround;

// encoding: samples of a window, and gaf or raw of the contract. A function that writes a window (three Float32Arrays, g) into the first tensor of a plan, an Int8Array.
export function encoder(encoding, plan) {
  const draw = encoding.raw ? channels : image;
  const quantizers = plan.parts.flatMap((part) => Array(part.count).fill(quantizer(part, plan.tensors[0])));
  const largest = f(encoding.largest_g);
  return (window, tensor) => {
    let next = 0;
    const held = window.map((row) => row.map((a) => Math.max(-largest, Math.min(largest, a)))); // so that sums have room
    draw(encoding, held, (value) => {
      tensor[plan.places[next]] = quantizers[next](value);
      next++;
    });
  };
}

// The nearest integer of a value, half away from zero; then that of the first tensor.
function quantizer({ scale, zero_point: zeroPoint, rescaling }, first) {
  const step = f(scale);
  return (value) => {
    const steps = Math.max(-1000, Math.min(1000, f(value / step)));
    const whole = Math.trunc(steps);
    const rest = steps - whole;
    const nearest = whole + (rest >= 0.5) - (rest <= -0.5);
    const integer = byte(nearest + zeroPoint);
    if (!rescaling) return integer;
    return byte(rescaled(integer - zeroPoint, rescaling.multiplier, rescaling.shift) + first.zero_point);
  };
}

const byte = (value) => Math.max(-128, Math.min(127, value));

function channels({ raw }, window, write) {
  const { transforms, scale_g: scaleG, clip_g: clipG } = raw;
  const perScale = f(1 / scaleG);
  const clip = f(clipG);
  for (const transform of transforms) {
    for (const row of window) {
      if (transform === "g") {
        row.forEach((a) => write(Math.max(-clip, Math.min(clip, a))));
        continue;
      }
      const soft = row.map((a) => tanh(f(a * perScale)));
      const mean = transform === "centred" ? f(sum(soft) / soft.length) : 0;
      soft.forEach((value) => write(f(value - mean)));
    }
  }
}

function image({ gaf, samples, flat_g: flatG }, window, write) {
  const { fields, size, scaling } = gaf;
  const bounds = segments(samples, size);
  const angles = window.map((row) => (scaling === "tanh" ? soft : linear)(reduced(row, bounds), gaf, flatG));
  for (const field of fields) {
    for (const [cosine, sine] of angles) {
      const [one, other] = field === "gasf" ? [cosine, sine] : [sine, cosine];
      for (let i = 0; i < size; i++)
        for (let j = 0; j < size; j++) write(f(f(one[i] * cosine[j]) - f(other[i] * sine[j])));
    }
  }
}

// Where each segment of piecewise aggregate approximation begins, and where the last one ends.
function segments(samples, size) {
  const step = samples / size;
  return Array.from({ length: size + 1 }, (_, i) => (i === size ? samples : Math.trunc(i * step)));
}

function reduced(row, bounds) {
  return Float32Array.from(bounds.slice(1), (end, j) => {
    const weight = f(1 / (end - bounds[j]));
    return sum(row.subarray(bounds[j], end).map((value) => value * weight));
  });
}

// From the first value to the last.
function sum(values) {
  let total = 0;
  for (const value of values) total = f(total + value);
  return total;
}

// Cosine and sine of the polar angle.
function soft(values, gaf) {
  const perScale = f(1 / gaf.scale_g);
  const scaled = values.map((value) => value * perScale);
  const once = scaled.map((y) => decay(Math.abs(y)));
  const cosine = once.map((e, i) => {
    const square = f(e * e);
    const c = f(f(1 - square) / f(1 + square));
    return scaled[i] < 0 ? -c : c;
  });
  return [cosine, once.map((e) => f(e + e) / f(1 + f(e * e)))];
}

function linear(values, { scaling, scale_g: scaleG }, flatG) {
  const isMinmax = scaling === "minmax";
  const low = isMinmax ? Math.min(...values) : f(-scaleG);
  const high = isMinmax ? Math.max(...values) : f(scaleG);
  const width = isMinmax ? Math.max(f(high - low), f(flatG)) : f(high - low);
  const held = values.map((value) => Math.max(low, Math.min(high, value)));
  const above = held.map((value) => f(value - low) / width);
  const below = held.map((value) => f(high - value) / width);
  const root = above.map((value, i) => Math.sqrt(f(value * below[i])));
  return [above.map((value, i) => value - below[i]), root.map((value) => value + value)];
}
