// How far the samples that have arrived reach ahead of the clock on the wall: vskd/stream/delivery.py.

export class Delivery {
  constructor(rules) {
    this.mostS = rules.batch_s;
    this.usedUp = rules.used_up;
    this.lastS = null;
    this.arrivedS = 0;
    this.aheadS = 0;
  }

  // For how long, by the wall's clock, what was in hand when the latest sample arrived may last, s.
  get inHandS() {
    return this.aheadS * this.usedUp;
  }

  // Samples have arrived; the stream's first sample and its latest are of these times, s; nowS is the wall's.
  arrived(firstS, lastS, nowS) {
    if (lastS === this.lastS) return; // a sample that is held, or dropped: of when it was made nothing is known yet
    if (this.lastS === null) {
      this.lastS = firstS;
      this.arrivedS = nowS;
    }
    const madeS = Math.max(0, lastS - this.lastS); // a clock that was set back has made none
    this.aheadS += madeS - this.usedUp * (nowS - this.arrivedS);
    this.aheadS = Math.min(Math.max(this.aheadS, 0), this.mostS);
    this.lastS = lastS;
    this.arrivedS = nowS;
  }
}
