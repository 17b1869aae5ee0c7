// Where samples come from: the sensor, a CSV file, the server's live source. One runs at a time.

import { readCsv } from "./csv.js";
import { listen, motionProblem } from "./sensor.js";

const EVERY_MS = 60;
const SILENT_EVERY_MS = 1000;
const AT_ONCE = 2000;
const PER_SECOND = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };

export class Source {
  // core: asked with each piece; show: called with what it answers; taken: with the samples, before that; state: with a
  // sentence and whether something runs.
  constructor({ core, page, token, show, taken, state }) {
    Object.assign(this, { core, page, token, show, taken, state });
    this.isRunning = false;
    this.tap = null; // takes each sample, while somebody records
    this.end = () => {};
    this.run = 0;
  }

  async startSensor(axes) {
    const problem = motionProblem();
    if (problem) throw new Error(problem);
    const gravity = this.page.rules.has_gravity;
    const listening = listen({ gravity, take: (time, xyz) => this.take([time], [xyz]) });
    await this.begin({ unit: "m/s^2", axes, timeUnit: "ms" });
    this.end = await listening;
    this.goOn();
    this.state("waiting for the sensor ...", true);
  }

  async startLive() {
    await this.begin(this.page.served.live);
    const events = new EventSource(`live?token=${this.token}`);
    events.addEventListener("message", ({ data }) => {
      const { time, xyz } = JSON.parse(data);
      this.take(time.map(exact), xyz.map((row) => row.map((value) => value ?? NaN)));
    });
    events.addEventListener("end", ({ data }) => this.stop(data));
    events.addEventListener("error", () => this.stop("the server has gone, or wants the address that it printed"));
    this.end = () => events.close();
    this.goOn();
    this.state("waiting for the server's source ...", true);
  }

  // speed: 1 as recorded, 0 at once.
  async playFile(file, { unit, axes, speed, layout }) {
    const { unit: stated, time, xyz, timeUnit, bad } = readCsv(await file.text(), layout);
    await this.begin({ unit: stated ?? unit, axes, timeUnit });
    const run = this.run;
    this.state(`${file.name}: ${time.length} samples${bad ? `, ${bad} lines were none` : ""}`, true);
    const perMs = PER_SECOND[timeUnit] / 1000;
    const beganMs = performance.now();
    for (let from = 0; from < time.length && run === this.run; ) {
      let to = Math.min(time.length, from + AT_ONCE);
      if (speed) {
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
        const dueMs = (performance.now() - beganMs) * speed;
        to = from;
        while (to < time.length && !(Number(time[to] - time[0]) / perMs > dueMs)) to++;
      }
      if (run === this.run && to > from) await this.push(time.slice(from, to), xyz.slice(from, to));
      from = to;
    }
    if (run === this.run) this.stop(`${file.name}: at its end`);
  }

  async begin(how) {
    await this.stop();
    this.run++;
    this.how = how;
    this.isRunning = true;
    this.buffer = { time: [], xyz: [] };
    this.arrivedMs = performance.now();
    await this.core.ask("begin", { how });
  }

  // A live source runs: its samples go to the core several times a second.
  goOn() {
    let silentMs = performance.now();
    const run = this.run;
    const next = async () => {
      if (run !== this.run) return;
      const { time, xyz } = this.buffer;
      const nowMs = performance.now();
      if (time.length) {
        this.buffer = { time: [], xyz: [] };
        await this.push(time, xyz, nowMs / 1000);
      } else if (nowMs - Math.max(this.arrivedMs, silentMs) > SILENT_EVERY_MS) {
        silentMs = nowMs;
        this.state(`no samples for ${Math.round((nowMs - this.arrivedMs) / 1000)} s`, true);
        this.show(await this.core.ask("silence", { forS: (nowMs - this.arrivedMs) / 1000 }));
      }
      setTimeout(() => next().catch((error) => this.fail(error)), EVERY_MS);
    };
    next().catch((error) => this.fail(error));
  }

  take(time, xyz) {
    this.arrivedMs = performance.now();
    this.buffer.time.push(...time);
    this.buffer.xyz.push(...xyz);
    if (this.tap) time.forEach((when, i) => this.tap(when, xyz[i]));
  }

  async push(time, xyz, clockS) {
    this.taken(time, xyz, this.how);
    this.show(await this.core.ask("push", { time, xyz, clockS }));
  }

  fail(error) {
    this.stop("", error);
  }

  // Ends what runs; the rest of its events is shown.
  async stop(sentence = "stopped", error = null) {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.run++;
    this.end();
    this.end = () => {};
    this.tap = null;
    try {
      if (!error && this.buffer.time.length) await this.push(this.buffer.time, this.buffer.xyz, performance.now() / 1000);
      if (!error) this.show(await this.core.ask("finish"));
    } catch (problem) {
      error = problem;
    }
    this.state(sentence, false, error);
  }
}

// Whole numbers of nanoseconds come as texts, since they may have more digits than a number.
const exact = (when) => (typeof when === "string" ? BigInt(when) : (when ?? NaN));
