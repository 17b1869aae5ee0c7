// The tab "Live": label, probabilities, signal, image, timeline and figures.

import { drawSignal, drawTimeline, drawView, tone } from "./draw.js";
import { sentence } from "./words.js";

const MOST_EVENTS = 400;
const MOST_SAMPLES = 4000;
const PER_SECOND = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };
const G = 9.80665;

const part = (id) => document.getElementById(id);

export class LiveTab {
  constructor(page) {
    this.page = page;
    this.isImage = Boolean(page.encoding.gaf);
    this.clear();
    part("image-title").textContent = this.isImage ? "What the network sees" : "What the network finds";
    part("image-note").textContent = this.isImage
      ? `The window as a Gramian field of ${page.encoding.gaf.size} x ${page.encoding.gaf.size} pixels, one for each axis.`
      : "The features of the latest window, the embedding.";
    const redraw = () => this.redraw();
    new ResizeObserver(redraw).observe(part("live"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  // A new stream begins.
  clear() {
    this.samples = [];
    this.events = [];
    this.view = null;
    this.originS = null;
    part("log").replaceChildren();
    this.label("waiting", "", true);
    this.bars(this.page.rules.labels, null);
    this.redraw();
  }

  taken(time, xyz, { unit, axes, timeUnit }) {
    const toG = unit === "g" ? 1 : 1 / G;
    const columns = axes.split(",").map((axis) => ["xyz".indexOf(axis.trim().at(-1)), axis.trim()[0] === "-" ? -toG : toG]);
    time.forEach((when, i) => {
      const atS = Number(when) / PER_SECOND[timeUnit];
      const values = columns.map(([column, factor]) => xyz[i][column] * factor);
      if (Number.isFinite(atS) && values.every(Number.isFinite)) this.samples.push([atS, ...values]);
    });
    this.samples.splice(0, this.samples.length - MOST_SAMPLES);
  }

  // What the core answered.
  show({ events, view, labels, counts, rateHz, medianMs }) {
    this.labels = labels;
    if (view) this.view = view;
    for (const event of events) this.add(event);
    const latest = events.at(-1);
    if (latest) {
      this.label(latest.label, sentence(latest.reason) || latest.defects.map(sentence)[0] || "", Boolean(latest.reason));
      part("label").style.color = latest.reason ? "" : tone(latest.label, labels);
      const isKnown = !latest.reason || latest.reason.code === "improbable" || latest.reason.code === "far from examples";
      this.sure(isKnown ? latest.probability : 0, tone(latest.label, labels));
      part("probability").textContent = isKnown ? `${(100 * latest.probability).toFixed(0)} % probable` : "";
      part("delay").textContent = `lags behind by up to ${latest.delayS.toFixed(1)} s`;
      this.bars(labels, isKnown ? latest.probabilities : null);
    }
    this.facts(counts, rateHz, medianMs);
    this.redraw();
  }

  label(text, reason, isQuiet) {
    part("label").textContent = text;
    part("label").classList.toggle("quiet", isQuiet);
    part("reason").textContent = reason;
    if (isQuiet) {
      part("label").style.color = "";
      this.sure(0, "");
      part("probability").textContent = part("delay").textContent = "";
    }
  }

  sure(share, colour) {
    part("sure").style.setProperty("--share", share);
    part("sure").style.setProperty("--tone", colour);
  }

  bars(labels, probabilities) {
    const list = part("bars");
    while (list.children.length > labels.length) list.lastChild.remove();
    labels.forEach((label, i) => {
      const row = list.children[i] ?? list.appendChild(document.createElement("li"));
      if (!row.children.length) row.append(document.createElement("span"), document.createElement("span"));
      row.firstChild.textContent = label;
      row.lastChild.textContent = probabilities ? `${(100 * probabilities[i]).toFixed(0)} %` : "";
      row.style.setProperty("--share", probabilities ? probabilities[i] : 0);
      row.style.setProperty("--tone", tone(label, labels));
      row.classList.toggle("leads", Boolean(probabilities) && probabilities[i] === Math.max(...probabilities));
    });
  }

  add(event) {
    this.events.push(event);
    if (this.events.length > MOST_EVENTS) this.events.shift();
    this.originS ??= event.startS;
    const row = document.createElement("li");
    Object.assign(row.dataset, { label: event.label, start: event.startS, end: event.endS });
    row.style.setProperty("--tone", tone(event.label, this.labels));
    const [name, why, when] = ["b", "span", "time"].map((tag) => document.createElement(tag));
    name.textContent = event.label;
    why.className = "why";
    why.textContent = sentence(event.reason) || event.defects.map(sentence).join("; ") || `${(100 * event.probability).toFixed(0)} %`;
    when.textContent = `${(event.endS - this.originS).toFixed(1)} s`;
    row.append(name, why, when);
    const log = part("log");
    log.prepend(row);
    if (log.children.length > MOST_EVENTS) log.lastChild.remove();
  }

  facts(counts, rateHz, medianMs) {
    const { rules } = this.page;
    const dropped = counts.out_of_order + counts.wild + counts.not_finite;
    const rows = {
      "Sensor's rate": rateHz === null ? "measuring ..." : `${rateHz.toFixed(1)} Hz`,
      "Model's rate": `${rules.rate_hz} Hz`,
      "Time of the network": medianMs === null ? "none yet" : `${medianMs.toFixed(1)} ms a window`,
      "Windows": `${counts.windows + counts.without_activity}, ${counts.without_activity} without an activity`,
      "Samples": `${counts.samples}, ${dropped} dropped`,
      "Gaps": String(counts.gaps),
    };
    fill(part("facts"), rows);
  }

  redraw() {
    if (!part("live").clientWidth) return;
    drawSignal(part("signal"), this.samples);
    drawTimeline(part("timeline"), this.events, this.labels ?? this.page.rules.labels);
    const blank = { encoded: new Int8Array(0), shape: this.page.input.shape, embedding: [] };
    drawView(part("image"), this.view ?? blank, this.page.input.zero_point, this.isImage);
  }
}

// Names and values of a definition list.
export function fill(list, rows) {
  const cells = Object.entries(rows).flatMap(([name, value]) => {
    const [term, meaning] = ["dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name;
    meaning.textContent = value;
    return [term, meaning];
  });
  list.replaceChildren(...cells);
}
