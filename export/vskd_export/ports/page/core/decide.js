// From logits to events: vskd/decide.py. An event is {label, probability, reason, startS, endS, delayS, probabilities,
// defects}; a reason is a code with its values, null where there is none.

import { exponential } from "./exponential.js";
import { NO_SIGNAL, UNKNOWN } from "./judge.js";

export const STILL = "still";

export class Decider {
  // rule: of the wearer's examples, null without any.
  constructor(rules, rule = null) {
    this.rules = rules;
    this.labels = rule ? rule.labels : rules.labels;
    this.rule = rule;
    this.exp = exponential(rules);
    this.even = this.labels.map(() => 1 / this.labels.length);
    this.reset();
  }

  // Forget every window so far.
  reset() {
    this.average = null;
    this.cosine = 0; // to the nearest example, smoothed as the probabilities are
    this.reported = -1;
    this.challenger = -1;
    this.ledFor = 0;
  }

  // One event for one window; logits of the contract's labels, and the embedding where there is a rule.
  decide(logits, window, embedding) {
    const { rules, rule } = this;
    if (window.afterGap) this.reset();
    if (!Number.isFinite(logits.reduce((sum, value) => sum + value, 0))) return this.notFinite(window);
    let mixed = { values: logits, cosine: 0 };
    if (rule) {
      mixed = rule.mixed(logits, embedding, window.samples);
      if (!mixed) return this.notFinite(window);
      const weight = this.average ? rules.smoothing : 1;
      this.cosine = weight * mixed.cosine + (1 - weight) * this.cosine;
    }
    const average = this.smoothed(mixed.values, rule ? 1 : rules.temperature);
    const reported = this.choose(average);
    let reason = null;
    if (average[reported] < rules.unknown_below) reason = { code: "improbable", value: average[reported] };
    else if (rule?.places.has(reported) && this.cosine < rules.unknown_below_cosine)
      reason = { code: "far from examples", value: this.cosine };
    return {
      label: reason ? UNKNOWN : this.labels[reported],
      probability: average[reported],
      reason,
      startS: window.startS,
      endS: window.endS,
      delayS: this.rules.delay_s + window.filterS,
      probabilities: average.slice(),
      defects: window.defects,
    };
  }

  notFinite(window) {
    return this.nothing(UNKNOWN, { code: "not finite" }, window, this.rules.delay_s + window.filterS);
  }

  // The event of a window that the motion gate kept from the network.
  still(window, movementG) {
    this.reset();
    return this.nothing(STILL, { code: "still", value: movementG }, window, this.rules.window_s + window.filterS);
  }

  // The event of a window whose signal cannot be known.
  withoutActivity(window, obstacle) {
    this.reset();
    return this.nothing(obstacle.label, obstacle, window, this.rules.window_s + window.filterS);
  }

  // The event of a pause; null where it is not long enough to be one.
  noSignal(pause) {
    const awayS = pause.endS - pause.startS;
    const limitS = this.rules.no_signal_after_s;
    if (!(0 < limitS && limitS < awayS)) return null;
    this.reset();
    return this.nothing(NO_SIGNAL, { code: "no samples", value: awayS }, pause, awayS);
  }

  nothing(label, reason, { startS, endS, defects = [] }, delayS) {
    return { label, probability: this.even[0], reason, startS, endS, delayS, probabilities: this.even, defects };
  }

  // The exponential average of the probabilities.
  smoothed(logits, temperature) {
    const largest = Math.max(...logits) / temperature;
    const exponents = Array.from(logits, (value) => this.exp(value / temperature - largest));
    const total = exponents.reduce((sum, value) => sum + value, 0);
    const weight = this.rules.smoothing;
    const before = this.average;
    this.average = exponents.map((value, i) =>
      before ? weight * (value / total) + (1 - weight) * before[i] : value / total,
    );
    return this.average;
  }

  // The label to report: a new one only after it has led by enough, for long enough.
  choose(average) {
    const leading = average.indexOf(Math.max(...average));
    if (this.reported < 0) this.reported = leading;
    const lead = average[leading] - average[this.reported];
    const enough = lead > 0 && lead >= this.rules.min_lead; // a tie changes nothing
    this.ledFor = enough ? (leading === this.challenger ? this.ledFor + 1 : 1) : 0;
    this.challenger = leading;
    if (this.ledFor >= this.rules.min_dwell_windows) this.reported = leading;
    return this.reported;
  }
}
