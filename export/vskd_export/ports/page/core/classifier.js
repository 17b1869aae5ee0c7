// Samples in, events out: vskd/classifier.py. infer(samples) gives {logits, embedding} of one window.

import { Decider } from "./decide.js";
import { Delivery } from "./delivery.js";
import { Stream } from "./stream.js";

export class Classifier {
  // options: unit, axes, timeUnit; rule: of the wearer's examples.
  constructor(rules, infer, options = {}, rule = null) {
    this.rules = rules;
    this.infer = infer;
    this.stream = new Stream(rules, options);
    this.decider = new Decider(rules, rule);
    this.delivery = rules.batch_s ? new Delivery(rules) : null;
    this.silentSinceS = null; // last sample before the latest silence that was reported
  }

  get labels() {
    return this.decider.labels;
  }

  get health() {
    return this.stream.health;
  }

  // Decide with these examples from now on, afresh.
  setRule(rule) {
    this.decider = new Decider(this.rules, rule);
  }

  push(time, x, y, z) {
    return this.events(this.stream.push(time, x, y, z));
  }

  finish() {
    return this.events(this.stream.finish());
  }

  // The samples pushed so far have arrived at this time of the wall's clock, s, monotonic.
  delivered(clockS) {
    const lastS = this.stream.lastSampleS;
    if (this.delivery && lastS !== null) this.delivery.arrived(this.stream.originS, lastS, clockS);
  }

  // No sample has come for some time, s: one event per silence, when it has lasted long enough.
  silence(forS) {
    const lastS = this.stream.lastSampleS;
    if (lastS === null || lastS === this.silentSinceS) return [];
    const inHandS = this.delivery ? this.delivery.inHandS : 0;
    const event = this.decider.noSignal({ startS: lastS, endS: lastS + forS - inHandS });
    if (!event) return [];
    this.silentSinceS = lastS;
    return [event];
  }

  events(items) {
    return items.map((item) => (item.pause ? this.pause(item) : this.decide(item))).filter((event) => event);
  }

  pause(item) {
    const wasReported = this.silentSinceS !== null && Math.abs(item.startS - this.silentSinceS) < this.rules.same_time_s;
    return wasReported ? null : this.decider.noSignal(item);
  }

  // Run the model on one window and decide; still ones and those that cannot be known never reach the model.
  decide(window) {
    const { counts } = this.health;
    const obstacle = window.defects.find((defect) => defect.label);
    if (obstacle) {
      counts.without_activity++;
      return { ...this.decider.withoutActivity(window, obstacle), samples: window.samples };
    }
    const limitG = this.rules.still_below_g;
    const movementG = limitG > 0 ? movement(window.samples) : 0;
    const isStill = movementG < limitG;
    counts.windows++;
    counts.still += isStill;
    if (isStill) return { ...this.decider.still(window, movementG), samples: window.samples };
    const { logits, embedding } = this.infer(window.samples);
    return { ...this.decider.decide(logits, window, embedding), samples: window.samples };
  }
}

// The standard deviation of |a| over a window, g.
export function movement(samples) {
  const [xs, ys, zs] = samples;
  const lengths = Array.from(xs, (x, i) => Math.sqrt(x * x + ys[i] * ys[i] + zs[i] * zs[i]));
  const mean = lengths.reduce((sum, value) => sum + value, 0) / lengths.length;
  const square = lengths.reduce((sum, value) => sum + (value - mean) * (value - mean), 0);
  return Math.sqrt(square / lengths.length);
}
