// Whether a window can be known: vskd/stream/judge.py and signal_checks.py, rule by rule.
//
// A defect is {kind, label, code, ...}: kind and label are Python's; the sentences for the codes are the page's. A label
// keeps the window from the network. A window is three Float32Arrays, in g.

export const UNKNOWN = "unknown";
export const NO_SIGNAL = "no signal";

export class WindowJudge {
  constructor(rules) {
    this.rules = rules;
    this.slow = null; // the running average, where windows are short
    this.sinceS = 0;
    this.atRest = null; // what the last rest said of the scale
    this.tooShort = null; // why the mean reading was too short, until one is as long as gravity
    this.untilNext = 0; // windows, until one that the last one added does not overlap
    this.summed = 0; // windows, and their mean readings
    this.sum = [0, 0, 0];
    this.turned = [];
    this.looksBelow = false;
    this.cutAtG = 0; // the end of the range that a window showed, and none since has exceeded
    this.isShort = true; // no mean readings of long enough so far
  }

  // The defects of the next window.
  judge(samples, { startS, endS, afterGap, health }) {
    const { rules } = this;
    const slow = slowPart(samples);
    const columns = samples.map((row) => row.filter((_, i) => i % rules.columns_step === 0));
    const [xs, ys, zs] = columns;
    const [one, two, three, four] = xs.subarray(rules.columns_middle, rules.columns_middle + 4);
    const mayRest = two === one || two === three || three === four || xs.includes(0);
    if (mayRest || slow.square < rules.near_zero_square) {
      const silent = this.silent(samples, slow, mayRest);
      if (silent) {
        this.slow = null;
        this.sinceS = endS;
        return [silent];
      }
    }
    const isFlat = columns.some((column) => column[0] === column.at(-1));
    const flat = isFlat ? health.countFlat(samples) : [];
    const defects = [];
    if (same(xs, ys) || same(xs, zs) || same(ys, zs)) defects.push(...this.copied(samples));
    if (health.recentSaturated) {
      defects.push(this.saturated(health.recentSaturated));
    } else {
      // Where readings are cut off, some of the columns end alike: above, or below, looked at in turns.
      const alike = columns.reduce((sum, column) => sum + endsAlike(column, this.looksBelow), 0) > 3;
      this.looksBelow = !this.looksBelow;
      if ((alike || this.cutAtG) && !isCalm(slow, rules)) defects.push(...this.cutOff(samples, health));
    }
    const rateHz = health.recentRateHz;
    if (rateHz !== null && !(rules.slowest_hz <= rateHz && rateHz <= rules.fastest_hz)) defects.push(...this.rate(rateHz));
    const reason = this.gravity(slow, startS, endS, afterGap);
    if (reason) defects.push({ kind: "gravity", label: UNKNOWN, ...reason });
    for (const axis of flat) defects.push({ kind: `dead axis ${rules.axes[axis]}`, label: "", code: "dead axis", axis });
    this.untilNext--;
    if (this.untilNext <= 0) {
      this.untilNext = rules.overlapping;
      this.add(slow);
    }
    return defects.concat(this.turned);
  }

  silent(samples, slow, mayRest) {
    const { rules } = this;
    let share;
    if (mayRest && (share = heldShare(samples)) > rules.frozen_share) return noSignal("frozen", share);
    if (mayRest && (share = zeroShare(samples)) > rules.zero_share) return noSignal("zeros", share);
    if (rules.has_gravity && slow.square < rules.near_zero_square)
      return noSignal("no gravity", Math.sqrt(slow.square));
    return null;
  }

  copied(samples) {
    const axes = equalAxes(samples);
    return axes.length ? [{ kind: "equal axes", label: UNKNOWN, code: "equal axes", axes }] : [];
  }

  saturated(share) {
    const label = share > this.rules.saturated_share ? UNKNOWN : "";
    return { kind: "saturated", label, code: "saturated", value: share };
  }

  cutOff(samples, health) {
    const [share, atG] = cutOff(samples, this.cutAtG, this.rules);
    if (share <= this.rules.cut_off_share) {
      this.cutAtG *= atG <= this.cutAtG;
      return [];
    }
    this.cutAtG = atG;
    health.counts.cut_off++;
    const label = share > this.rules.saturated_share ? UNKNOWN : "";
    return [{ kind: "cut off", label, code: "cut off", value: share, atG }];
  }

  rate(rateHz) {
    if (rateHz >= this.rules.filtered_hz) return [];
    const isTooLow = rateHz < this.rules.min_rate_hz;
    return [{ kind: "rate", label: isTooLow ? UNKNOWN : "", code: isTooLow ? "rate too low" : "rate", value: rateHz }];
  }

  // Why the samples cannot be in the unit and scale that they are taken for; null where they can.
  gravity(newest, startS, endS, afterGap) {
    const { rules } = this;
    const slow = rules.is_long ? newest : this.averaged(newest, afterGap);
    if (afterGap || rules.is_long) this.sinceS = startS;
    if (endS - this.sinceS < rules.slow_needed_s) return this.atRest || this.tooShort;
    let problem = gravityProblem(slow, rules);
    if (rules.has_gravity && (problem || this.tooShort))
      this.tooShort = lengthG(slow) >= rules.gravity_low_g ? null : problem || this.tooShort;
    if (slow.square > rules.smallest_limit_square && !problem) problem = this.beyondTraining(slow);
    if ((problem || this.atRest) && isCalm(slow, rules)) this.atRest = problem;
    return problem || this.atRest || this.tooShort;
  }

  averaged(newest, afterGap) {
    if (!this.slow || afterGap) {
      this.slow = newest;
    } else {
      const [old, weight] = [this.slow, this.rules.slow_newest];
      const mean = old.mean.map((before, axis) => before + weight * (newest.mean[axis] - before));
      this.slow = { mean, square: old.square + weight * (newest.square - old.square) };
    }
    return this.slow;
  }

  beyondTraining(slow) {
    const { largest_mean_g: meanG, largest_rms_g: rmsG } = this.rules;
    if (meanG && lengthG(slow) > meanG) return { code: "mean beyond training", value: lengthG(slow) };
    if (rmsG && Math.sqrt(slow.square) > rmsG) return { code: "rms beyond training", value: Math.sqrt(slow.square) };
    return null;
  }

  // Add a window's mean reading; every direction_s of them tell where gravity points.
  add(slow) {
    this.sum = this.sum.map((value, axis) => value + slow.mean[axis]);
    this.summed++;
    if (this.summed === this.rules.direction_windows) {
      this.turned = this.direction();
      this.isShort = false;
      this.summed = 0;
      this.sum = [0, 0, 0];
    }
  }

  // At the end of a stream shorter than direction_s, what two windows or more say of gravity's direction.
  directionSoFar() {
    return this.isShort && this.summed > 1 && this.direction().length > 0;
  }

  direction() {
    const { rules } = this;
    const [x, y, z] = this.sum;
    if (!rules.has_direction) return [];
    const { direction_x: toX, direction_y: toY, direction_z: toZ } = rules;
    const length = Math.sqrt(x * x + y * y + z * z);
    if (length < rules.shortest_mean_g * this.summed) return [];
    const cosine = Math.max(-1, Math.min(1, (x * toX + y * toY + z * toZ) / length));
    return cosine < rules.direction_cosine ? [{ kind: "direction", label: "", code: "direction", value: cosine }] : [];
  }
}

const noSignal = (kind, value) => ({ kind, label: NO_SIGNAL, code: kind, value });
const same = (one, other) => one.every((value, i) => value === other[i]);
const lengthG = ({ mean: [x, y, z] }) => Math.sqrt(x * x + y * y + z * z);

function endsAlike(column, below) {
  const end = below ? Math.min(...column) : Math.max(...column);
  return column.reduce((sum, value) => sum + (value === end), 0);
}

// The mean reading of a window, g, and its mean square.
export function slowPart(samples) {
  const count = samples[0].length;
  let square = 0;
  const mean = samples.map((row) => {
    let sum = 0;
    for (const value of row) {
      sum += value;
      square += value * value;
    }
    return sum / count;
  });
  return { mean, square: square / count };
}

function isCalm(slow, rules) {
  const [x, y, z] = slow.mean;
  const length = x * x + y * y + z * z;
  return slow.square - length <= rules.calm_share_square * (length > 1 ? length : 1);
}

function longestRun(count, isStep) {
  let longest = 0;
  let run = 0;
  for (let i = 0; i < count; i++) {
    run = isStep(i) ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest ? longest + 1 : 0;
}

function heldShare(samples) {
  const count = samples[0].length;
  return longestRun(count - 1, (i) => samples.every((row) => row[i] === row[i + 1])) / count;
}

function zeroShare(samples) {
  const count = samples[0].length;
  return longestRun(count - 1, (i) => samples.every((row) => row[i] === 0 && row[i + 1] === 0)) / count;
}

function equalAxes(samples) {
  const moving = [0, 1, 2].filter((axis) => samples[axis].some((value) => value !== samples[axis][0]));
  for (const axis of moving) {
    const equal = moving.filter((other) => same(samples[other], samples[axis]));
    if (equal.length > 1) return equal;
  }
  return [];
}

// Share of the samples that stay at an end of the readings, and the largest reading, g.
function cutOff(samples, knownG, rules) {
  const count = samples[0].length;
  const inARow = rules.in_a_row;
  let largestG = 0;
  for (const row of samples) for (const value of row) largestG = Math.max(largestG, Math.abs(value));
  const stays = new Uint8Array(count);
  let reached = 0;
  // As numpy does, the smallest end is rounded to float32 before it is compared with float32 readings.
  const near = Math.fround(rules.near_the_largest * largestG);
  for (const sign of [1, -1]) {
    for (const row of samples) {
      let top = -Infinity;
      for (const value of row) top = Math.max(top, sign * value);
      const end = Math.max(top, near);
      let isReached = false;
      for (let i = 0; i + inARow <= count; i++) {
        let isMiddle = true;
        for (let j = 0; j < inARow; j++) isMiddle &&= sign * row[i + j] === end;
        if (!isMiddle) continue;
        isReached = true;
        stays.fill(1, i, i + inARow);
      }
      reached += isReached;
    }
  }
  const isEnd = largestG > rules.cut_off_above_g || reached > 1 || largestG === knownG;
  return [isEnd ? stays.reduce((sum, one) => sum + one, 0) / count : 0, largestG];
}

// Why a stretch of slow_s or longer cannot be in g with gravity, or without it; null where it can.
function gravityProblem(slow, rules) {
  const [x, y, z] = slow.mean;
  const square = slow.square;
  const length = x * x + y * y + z * z;
  if (!rules.has_gravity) {
    const isSteady = length >= rules.gravity_low_square && square - length <= rules.steady_share_square * length;
    if (isSteady || (isCalm(slow, rules) && length > rules.no_gravity_square))
      return { code: "gravity not removed", value: lengthG(slow) };
    return null;
  }
  if (square < rules.gravity_low_square) return { code: "below gravity", value: Math.sqrt(square), lengthG: lengthG(slow) };
  if (length > rules.gravity_high_square && isCalm(slow, rules))
    return { code: "beyond gravity at rest", value: lengthG(slow), lengthG: lengthG(slow) };
  if (length < rules.least_share_square * square)
    return { code: "as without gravity", value: lengthG(slow), rmsG: Math.sqrt(square) };
  return null;
}
