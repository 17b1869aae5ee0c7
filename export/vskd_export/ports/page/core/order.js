// The sensor's order of samples out of the order in which they arrive: vskd/stream/order.py, rule by rule.
// A sample is [time_s, x, y, z].

export class Order {
  // tell: called with what became of a sample, where that is not simply the next one.
  constructor(rules, tell) {
    Object.assign(this, { rules, tell, maxGapS: rules.max_gap_s });
    this.lastS = -Infinity;
    this.periodS = Infinity;
    this.promptS = 0;
    this.opens = false; // the segment's first samples are being held
    this.inPackets = false;
    this.pending = []; // by time, none before the last one taken
    this.strays = []; // far from the segment, and from each other
  }

  get newestS() {
    return this.pending.length ? this.pending.at(-1)[0] : this.lastS;
  }

  // Take a sample; gives those that are now in order, each as [whether it starts a segment, sample].
  take(sample) {
    const atS = sample[0];
    let ready = [];
    const near = () => this.strays.findIndex((stray) => Math.abs(atS - stray[0]) <= this.maxGapS);
    let index;
    if (-this.maxGapS <= atS - this.oldestS() && atS - this.newestS <= this.maxGapS) {
      this.dropStrays();
      this.insert(sample);
    } else if ((index = near()) >= 0) {
      ready = this.startAnew(...this.strays.splice(index, 1), sample);
    } else if (this.strays.length && this.newestS < this.strays.at(-1)[0] && this.strays.at(-1)[0] < atS) {
      ready = this.startAnew(this.strays.pop()); // a pause, and another one
      this.strays = [sample];
    } else {
      this.strays.push(sample);
      if (this.strays.length > this.rules.strays) this.tell("wild", this.strays.shift());
    }
    return ready.concat(this.settled(false));
  }

  finish() {
    const ready = this.settled(true);
    this.dropStrays();
    return ready;
  }

  // What the sensor's period, s, has been of late; packets keep the one that their opening showed.
  measure(periodS) {
    const room = this.rules.room;
    const share = periodS / this.periodS;
    if (!this.inPackets && !(room <= share && share <= 1 / room)) this.setPeriod(periodS);
  }

  setPeriod(periodS) {
    this.periodS = periodS;
    this.promptS = Math.min(this.rules.prompt * periodS, this.maxGapS);
  }

  // Before this time, less the gap, a sample is on another clock; infinite before there is a clock.
  oldestS() {
    if (this.opens) return this.pending[0][0];
    return this.lastS > -Infinity ? this.lastS : Infinity;
  }

  dropStrays() {
    for (const stray of this.strays) this.tell("wild", stray);
    this.strays = [];
  }

  startAnew(...samples) {
    const ready = this.settled(true);
    this.dropStrays();
    this.opens = true;
    for (const sample of samples) this.insert(sample);
    return ready;
  }

  insert(sample) {
    const pending = this.pending;
    if (!this.opens && sample[0] < this.lastS) {
      this.tell("late", sample);
      return;
    }
    if (pending.length && sample[0] < pending.at(-1)[0]) this.tell("sorted", sample);
    pending.splice(upTo(pending, sample[0]), 0, sample);
  }

  // Samples that wait for nothing more; final: nothing more comes.
  settled(final) {
    const { pending, rules } = this;
    const ready = [];
    if (this.opens) {
      const spansS = pending.at(-1)[0] - pending[0][0];
      const enough = pending.length >= this.rules.opening && spansS > 0 && spansS >= this.rules.reorder_s;
      if (!(enough || final || pending.length >= rules.longest)) return ready;
      this.judgeOpening();
      ready.push([true, this.next()]);
    }
    while (pending.length) {
      const atS = pending[0][0];
      const size = upTo(pending, atS);
      const isWhole = size < pending.length || final;
      const shares = atS === this.lastS ? 1 : 0;
      if (isWhole && size + shares > 1) {
        this.spread(size, shares, size < pending.length ? pending[size][0] : Infinity);
        continue;
      }
      const waits = atS - this.lastS > this.promptS && pending.at(-1)[0] - atS < this.rules.reorder_s;
      if (!final && (shares || waits) && pending.length < rules.longest) return ready;
      ready.push([false, this.next()]);
    }
    return ready;
  }

  next() {
    const sample = this.pending.shift();
    this.lastS = sample[0];
    return sample;
  }

  // The period, and whether samples come in packets, from the samples that open the segment.
  judgeOpening() {
    this.opens = false;
    const pending = this.pending;
    const times = pending.map((sample) => sample[0]);
    let different = 0;
    for (let i = 1; i < pending.length; i++) {
      const [a, b] = [pending[i - 1], pending[i]];
      different += a[0] === b[0] && (a[1] !== b[1] || a[2] !== b[2] || a[3] !== b[3]);
    }
    this.inPackets = different > 0 && 3 * different >= times.length - 1;
    // The last packet may not be whole: what came before it took the time up to it.
    const whole = times.indexOf(times.at(-1));
    this.setPeriod(
      this.inPackets && whole ? (times.at(-1) - times[0]) / whole : usualStep(times, this.rules.prompt),
    );
  }

  // Give the samples that share the first time held times of their own, or drop all but one.
  spread(size, shares, nextS) {
    const pending = this.pending;
    const atS = pending[0][0];
    let times = this.times(size, shares, nextS);
    // Between two times that are neighbours as numbers there is no room, however few the samples are.
    const all = [...(shares ? [atS] : []), ...times, nextS];
    if (!all.every((time, i) => i === 0 || all[i - 1] < time)) times = [];
    if (!times.length) {
      for (const sample of pending.slice(1 - shares, size)) this.tell("repeated", sample);
      pending.splice(1 - shares, size - (1 - shares));
    }
    times.forEach((nowS, i) => {
      if (nowS !== atS) this.tell("spread", pending[i]);
      pending[i] = [nowS, pending[i][1], pending[i][2], pending[i][3]];
    });
  }

  // Times of their own for the samples of spread; none where they are repetitions.
  times(size, shares, nextS) {
    const { lastS, periodS } = this;
    const { room, prompt } = this.rules;
    const atS = this.pending[0][0];
    const count = size + shares;
    const fitsS = (nextS < Infinity ? room : Infinity) * count * periodS;
    const roomS = nextS - atS;
    const times = [];
    if (periodS < Infinity && (this.inPackets || roomS > fitsS)) {
      const stepS = roomS > prompt * count * periodS ? periodS : roomS / count;
      for (let i = shares; i < count; i++) times.push(atS + i * stepS);
    } else if (!shares && atS - lastS >= room * count * periodS) {
      const stepS = (atS - lastS) / count;
      for (let i = 1; i < count; i++) times.push(lastS + i * stepS);
      times.push(atS);
    }
    return times;
  }
}

// How many of the samples, by time, are at most of this time.
function upTo(samples, atS) {
  let end = samples.length;
  while (end && samples[end - 1][0] > atS) end--;
  return end;
}

// The mean of the steps between different times, without those over missing samples; infinite without a step.
function usualStep(times, prompt) {
  const steps = [];
  for (let i = 1; i < times.length; i++) if (times[i] > times[i - 1]) steps.push(times[i] - times[i - 1]);
  steps.sort((a, b) => a - b);
  const middle = steps[Math.floor(steps.length / 2)];
  const usual = steps.filter((step) => step <= prompt * middle);
  return usual.length ? usual.reduce((sum, step) => sum + step, 0) / usual.length : Infinity;
}
