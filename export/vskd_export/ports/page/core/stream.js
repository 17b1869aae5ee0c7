// One sensor's stream, cut into sliding windows: vskd/stream/sliding.py and unit_check.py, the one general rule.
//
// A window is {samples, startS, endS, afterGap, defects, filterS}, a pause {pause: true, startS, endS}.

import { Health } from "./health.js";
import { WindowJudge } from "./judge.js";
import { LowPass } from "./low_pass.js";
import { Order } from "./order.js";

export const PER_SECOND = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };

// The readings cannot be in the unit that was named. It stays so, as does Python's StreamError.
export class WrongUnit extends Error {
  constructor(median, unit, looksLike) {
    super(`the median |a| is ${median.toPrecision(4)} ${unit}`);
    Object.assign(this, { name: "WrongUnit", median, unit, looksLike });
  }
}

export class Stream {
  constructor(rules, { unit = "g", axes = "x,y,z", timeUnit = "s" } = {}) {
    if (!(timeUnit in PER_SECOND)) throw new RangeError(`there is no time unit ${timeUnit}`);
    if (!["g", "m/s^2"].includes(unit)) throw new RangeError(`there is no unit ${unit} for acceleration`);
    Object.assign(this, { rules, unit });
    this.health = new Health(rules.rate_check_s);
    this.toG = unit === "g" ? 1 : rules.metre_to_g;
    this.axes = axisMap(axes);
    this.perSecond = PER_SECOND[timeUnit];
    this.origin = null;
    this.originS = 0;
    this.unitCheck = rules.unit_samples ? [] : null; // magnitudes so far, g; null once the unit is believed
    this.wrongUnit = null;
    this.judge = rules.is_judged ? new WindowJudge(rules) : null;
    this.isWaking = this.judge !== null; // only zeros so far
    this.held = []; // until the unit is believed
    this.beforeWaking = 0; // how many of them are of zeros alone, and need no unit
    this.order = this.newOrder();
    this.lowPass = rules.taps.length ? new LowPass(rules) : null;
    this.filter = null; // while the sensor is well faster than the contract
    this.taken = 0; // samples since the sensor's rate was judged
    this.judgedS = 0;
    this.last = [-Infinity, 0, 0, 0]; // accepted; its time in s since the origin
    this.anchorS = 0; // time of the segment's first sample, where its grid starts
    this.nextIndex = 0; // of the next regular sample, counted from the anchor
    this.afterGap = true;
    this.regular = [0, 1, 2].map(() => new Float32Array(rules.samples)); // the window that is being filled
    this.filled = 0;
  }

  newOrder() {
    if (!this.rules.sorts) return null;
    const counter = { sorted: "reordered", spread: "spread", wild: "wild", late: "out_of_order", repeated: "out_of_order" };
    return new Order(this.rules, (fate) => this.health.counts[counter[fate]]++);
  }

  // Time of the latest sample, s, on the sensor's clock; null before the first.
  get lastSampleS() {
    const newestS = Math.max(this.last[0], this.order ? this.order.newestS : -Infinity);
    return this.origin === null || newestS === -Infinity ? null : this.originS + newestS;
  }

  // Take one sample: a time in the stream's unit, a number or a BigInt, and readings. Gives windows and pauses.
  push(time, x, y, z) {
    if (this.wrongUnit) throw this.wrongUnit;
    this.health.counts.samples++;
    const raw = [Math.fround(x) * this.toG, Math.fround(y) * this.toG, Math.fround(z) * this.toG];
    this.sortOut(time, this.axes ? this.axes.map(([column, sign]) => raw[column] * sign) : raw);
    return this.handedOut();
  }

  // The recording is over: what was held for samples that might still come.
  finish() {
    if (this.wrongUnit) throw this.wrongUnit;
    if (this.order) for (const [starts, sample] of this.order.finish()) this.accept(sample, starts);
    if (this.judge) this.health.turned = this.judge.directionSoFar();
    return this.handedOut();
  }

  handedOut() {
    const isBelieved = this.unitCheck === null || this.isWaking;
    const items = this.held.splice(0, isBelieved ? this.held.length : this.beforeWaking);
    this.beforeWaking = 0;
    return items;
  }

  sortOut(when, values) {
    const { health, rules, order } = this;
    if (![Number(when), ...values].every((value) => Math.abs(value) <= rules.largest)) {
      health.counts.not_finite++;
      return;
    }
    if (this.origin === null) {
      this.origin = when;
      this.originS = Number(when) / this.perSecond;
    }
    const nowS = this.seconds(when - this.origin);
    const sample = [nowS, ...values];
    if (order) {
      order.lastS = this.last[0];
      for (const [starts, ready] of order.take(sample)) this.accept(ready, starts);
      return;
    }
    const stepS = nowS - this.last[0];
    const maxGapS = rules.max_gap_s;
    if (-maxGapS <= stepS && stepS <= 0) health.counts.out_of_order++;
    else this.accept(sample, !(0 < stepS && stepS <= maxGapS));
  }

  // A difference of two times, s. Of whole numbers it is rounded once, as in Python, also where float64 does not hold it.
  seconds(ticks) {
    if (typeof ticks !== "bigint" || Number.isSafeInteger(Number(ticks))) return Number(ticks) / this.perSecond;
    return Number(`${ticks}e-${String(this.perSecond).length - 1}`);
  }

  // Take a sample that is in order; starts: it begins a segment.
  accept(sample, starts) {
    const [nowS, ...values] = sample;
    const { counts } = this.health;
    counts.saturated += Math.max(...values.map(Math.abs)) >= this.rules.range_g;
    if (this.isWaking && this.wakes(values) && this.last[0] > -Infinity) {
      this.checkUnit(values);
      this.startSegment(sample);
      return;
    }
    this.checkUnit(values);
    if (!starts) {
      if (!(nowS > this.last[0])) return; // its clock stood still for longer than is held
      if (this.filter) this.followFiltered(sample);
      else this.follow(sample);
      return;
    }
    const stepS = nowS - this.last[0];
    if (stepS < Infinity) {
      counts.gaps++;
      counts.resets += stepS <= 0;
      this.holdPause(stepS, nowS);
    }
    this.startSegment(sample);
  }

  // Resample by the line from the last sample to this one.
  follow(sample) {
    const { regular, rules } = this;
    const [lastS, ...last] = this.last;
    const [nowS, ...values] = sample;
    const stepS = nowS - lastS;
    for (;;) {
      const dueS = this.anchorS + this.nextIndex / rules.rate_hz;
      if (!(dueS <= nowS)) break;
      const partS = dueS - lastS;
      for (let axis = 0; axis < 3; axis++)
        regular[axis][this.filled] =
          dueS < nowS ? ((values[axis] - last[axis]) / stepS) * partS + last[axis] : values[axis];
      this.filled++;
      this.nextIndex++;
      if (this.filled === rules.samples) {
        this.cut(1);
        this.judgeRate(nowS);
      }
    }
    this.keep(sample, stepS);
  }

  // Resample through the low-pass filter.
  followFiltered(sample) {
    const { filter } = this;
    if (!filter.isBegun) filter.begin(this.last, this.anchorS, this.nextIndex);
    const stepS = sample[0] - this.last[0];
    this.last = sample;
    for (const regular of filter.take(...sample)) if (this.put(regular)) this.judgeRate(sample[0]);
    if (!this.filter) for (const regular of filter.flush()) this.put(regular);
    this.keep(sample, stepS);
  }

  keep(sample, stepS) {
    this.last = sample;
    this.taken++;
    this.health.countInterval(stepS);
  }

  // Add a regular sample that went through the filter; gives whether it completes a window.
  put(values) {
    const { largest } = this.rules;
    values.forEach((value, axis) => {
      this.regular[axis][this.filled] = Math.max(-largest, Math.min(largest, value)); // a filter overshoots
    });
    this.filled++;
    this.nextIndex++;
    const isFull = this.filled === this.rules.samples;
    if (isFull) this.cut(1);
    return isFull;
  }

  // Whether the filter is still the right way, judged at the end of a window. The sample of this time is not in taken.
  judgeRate(nowS) {
    const count = this.taken + 1;
    if (!this.order || count < this.rules.rate_opening) return;
    const periodS = (nowS - this.judgedS) / count;
    this.taken = -1;
    this.judgedS = nowS;
    this.order.measure(periodS);
    this.filter = this.filterFor(periodS);
  }

  // The filter, where a sensor of this period, s, is well faster than the contract.
  filterFor(periodS) {
    return this.lowPass && periodS * this.rules.rate_hz * this.rules.filter_above <= 1 ? this.lowPass : null;
  }

  // Count a zero at the start, and tell the first other sample: a sensor that is not awake yet gives zeros.
  wakes(values) {
    if (values.every((value) => value === 0)) {
      this.health.counts.leading_zeros++;
      return false;
    }
    this.isWaking = false;
    this.beforeWaking = this.held.length;
    return true;
  }

  // After a clock was set back, or after one sample whose clock nothing confirms, no pause is known.
  holdPause(stepS, nowS) {
    if (!(stepS > 0 && (!this.order || this.last[0] > this.anchorS))) return;
    const endS = this.originS + nowS;
    this.held.push({ pause: true, startS: endS - stepS, endS });
  }

  checkUnit([x, y, z]) {
    if (this.unitCheck === null || this.isWaking) return;
    const needed = this.rules.unit_samples;
    if (this.unitCheck.length < needed) this.unitCheck.push(Math.sqrt(x * x + y * y + z * z));
    if (this.unitCheck.length < needed) return;
    this.refuseWrongUnit();
    this.unitCheck = null;
  }

  refuseWrongUnit() {
    const { plausible_low_g: low, plausible_high_g: high } = this.rules;
    const sorted = [...this.unitCheck].sort((a, b) => a - b);
    const medianG = sorted[Math.floor(sorted.length / 2)];
    if (low <= medianG && medianG <= high) return;
    const median = medianG / this.toG;
    if (this.judge && medianG < low && !(median >= low)) return;
    const inM = median * this.rules.metre_to_g;
    let looksLike = median < low ? "without gravity" : "raw counts";
    if (low <= median && median <= high) looksLike = "g";
    else if (low <= inM && inM <= high) looksLike = "m/s^2";
    this.wrongUnit = new WrongUnit(median, this.unit, looksLike);
    throw this.wrongUnit;
  }

  // Begin anew: the sample is the first of a grid, and of a window.
  startSegment(sample) {
    const [nowS, ...values] = sample;
    this.last = sample;
    this.anchorS = nowS;
    this.afterGap = true;
    this.health.beginSegment(this.rules.rate_steps, this.rules.rate_hz);
    this.taken = 0;
    this.judgedS = nowS;
    if (this.filter) this.filter.flush(); // what it still held lies at the end of the segment before
    this.filter = this.order ? this.filterFor(this.order.periodS) : null;
    if (this.filter) {
      // The first regular sample is the first with all of the filter's length around it.
      this.nextIndex = this.rules.half_periods;
      this.filled = 0;
      this.filter.begin(sample, nowS, this.nextIndex);
    } else {
      values.forEach((value, axis) => (this.regular[axis][0] = value));
      this.nextIndex = this.filled = 1;
    }
  }

  // Take the full window, and begin the next one with what overlaps.
  cut(underway) {
    const { rules, health, filter, nextIndex, afterGap } = this;
    const startS = this.absoluteS(nextIndex - rules.samples);
    const endS = this.absoluteS(nextIndex - 1);
    const samples = this.regular.map((row) => row.slice());
    // The samples go on for half a filter after the window.
    health.countWindow(nextIndex - 1 + (filter ? rules.half_periods : 0), underway);
    const defects = this.judge ? this.judge.judge(samples, { startS, endS, afterGap, health }) : [];
    if (!this.judge) health.countFlat(samples);
    this.held.push({ samples, startS, endS, afterGap, defects, filterS: filter ? rules.half_s : 0 });
    this.afterGap = false;
    this.filled = rules.samples - rules.hop;
    this.regular.forEach((row) => row.copyWithin(0, rules.hop));
  }

  absoluteS(index) {
    return this.originS + (this.anchorS + index / this.rules.rate_hz);
  }
}

// "-y,x,z" -> for each axis of the contract the sensor's column and a sign; null where nothing changes.
function axisMap(text) {
  const parts = text.split(",").map((part) => part.trim());
  const axes = parts.map((part) => ["xyz".indexOf(part.replace(/^[+-]+/, "")), part.startsWith("-") ? -1 : 1]);
  const columns = axes.map(([column]) => column).sort();
  if (columns.join() !== "0,1,2" || parts.some((part) => !/^[+-]*[xyz]$/.test(part)))
    throw new RangeError(`an axis map names x, y and z once each, with signs, like '-y,x,z'; got '${text}'`);
  return axes.every(([column, sign], axis) => column === axis && sign > 0) ? null : axes;
}
