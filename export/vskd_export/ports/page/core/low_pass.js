// The low-pass filter ahead of the resampling of a sensor that is well faster than the contract: vskd/stream/low_pass.py.

export class LowPass {
  constructor(rules) {
    this.rules = rules;
    this.isBegun = false;
    this.rises = rules.taps.slice(1).map((after, i) => after - rules.taps[i]);
    this.open = []; // time, sum of weights, weighted x, y, z of each regular sample that is not complete
    this.last = [0, 0, 0, 0];
    this.beforeS = this.anchorS = 0;
    this.nextIndex = 0;
  }

  // Begin with a sample of the sensor; the index is of the first regular sample wanted, counted from the anchor.
  begin(sample, anchorS, index) {
    this.isBegun = true;
    this.open = [];
    this.last = sample;
    this.beforeS = sample[0];
    this.anchorS = anchorS;
    this.nextIndex = index;
  }

  // Take the next sample of the sensor; gives the regular ones [x, y, z] that are complete with it.
  take(nowS, x, y, z) {
    const [lastS, lastX, lastY, lastZ] = this.last;
    // Where samples are missing the line between their neighbours stands for them.
    const pieces = Math.ceil((nowS - lastS) / this.rules.period_s);
    for (let piece = 1; piece < pieces; piece++) {
      const part = piece / pieces;
      this.add(
        lastS + (nowS - lastS) * part,
        lastX + (x - lastX) * part,
        lastY + (y - lastY) * part,
        lastZ + (z - lastZ) * part,
      );
    }
    this.add(nowS, x, y, z);
    const complete = [];
    while (this.open.length && this.open[0][0] + this.rules.half_s <= nowS) complete.push(mean(this.open.shift()));
    return complete;
  }

  // End here: the regular samples up to now, of what of the filter is there.
  flush() {
    this.isBegun = false;
    const lastS = this.last[0];
    this.weigh(lastS);
    const now = this.open.filter((one) => one[0] <= lastS).map(mean);
    this.open = [];
    return now;
  }

  add(nowS, x, y, z) {
    for (;;) {
      const dueS = this.anchorS + this.nextIndex / this.rules.rate_hz;
      if (!(dueS - this.rules.half_s < nowS)) break;
      this.open.push([dueS, 0, 0, 0, 0]);
      this.nextIndex++;
    }
    this.weigh(nowS);
    this.beforeS = this.last[0];
    this.last = [nowS, x, y, z];
  }

  // Add the last sample, which stands for half of the time from the one before to the one after.
  weigh(afterS) {
    const [lastS, x, y, z] = this.last;
    const shareS = (afterS - this.beforeS) / 2;
    const { taps, taps_per_s: scale } = this.rules;
    const end = taps.length - 1;
    for (const one of this.open) {
      const place = Math.abs(lastS - one[0]) * scale;
      if (!(place < end)) continue;
      const tap = Math.trunc(place);
      const weight = (taps[tap] + (place - tap) * this.rises[tap]) * shareS;
      one[1] += weight;
      one[2] += weight * x;
      one[3] += weight * y;
      one[4] += weight * z;
    }
  }
}

const mean = ([, weights, x, y, z]) => [x / weights, y / weights, z / weights];
