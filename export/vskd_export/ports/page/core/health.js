// What became of the samples and of the windows: vskd/stream/health.py.

export class Health {
  constructor(rateCheckS) {
    this.rateCheckS = rateCheckS;
    const counts =
      "samples out_of_order wild reordered spread not_finite gaps resets saturated cut_off windows still " +
      "leading_zeros without_activity";
    this.counts = Object.fromEntries(counts.split(" ").map((name) => [name, 0]));
    this.counts.flat = [0, 0, 0];
    this.recentRateHz = null;
    this.recentSaturated = 0;
    this.turned = false;
    this.intervals = 0;
    this.elapsedS = 0;
    this.isSettled = false;
    this.steps = 0;
    this.gridHz = 0;
    this.marks = []; // grid index, intervals, saturated
  }

  // Rate of the accepted samples, Hz: of the last seconds, or of all so far; null before two seconds of them.
  get rateHz() {
    if (this.isSettled) return this.recentRateHz;
    return this.elapsedS >= this.rateCheckS ? this.intervals / this.elapsedS : null;
  }

  countInterval(elapsedS) {
    this.intervals++;
    this.elapsedS += elapsedS;
  }

  beginSegment(steps, gridHz) {
    this.steps = steps;
    this.gridHz = gridHz;
    this.marks = [[0, this.intervals, this.counts.saturated]];
  }

  // A window is full: measure rate and saturation over the last seconds. The index is of its last sample on its grid;
  // underway: intervals that are not counted yet.
  countWindow(index, underway) {
    const { marks } = this;
    const saturated = this.counts.saturated;
    const intervals = this.intervals + underway;
    marks.push([index, intervals, saturated]);
    if (index - marks[1][0] >= this.steps) marks.shift();
    const [start, since, before] = marks[0];
    const steps = index - start;
    // So soon after a start an interval more or less counts: the rate is at most this.
    this.isSettled = steps >= this.steps;
    const taken = this.isSettled ? intervals - since : intervals - since + 1;
    this.recentRateHz = (taken * this.gridHz) / steps;
    this.recentSaturated = saturated !== before ? (saturated - before) / (intervals - since) : 0;
  }

  // Count, and give, the axes of a window that read one value throughout.
  countFlat(window) {
    const found = [];
    window.forEach((row, axis) => {
      if (row.every((value) => value === row[0])) {
        this.counts.flat[axis]++;
        found.push(axis);
      }
    });
    return found;
  }
}
