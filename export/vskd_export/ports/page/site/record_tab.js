// The tab "Record": labelled clips for training.

import { dataSet, samplesText } from "./dataset.js";
import { recordStretch, secondsOf } from "./recorder.js";
import { labelProblem, nameProblem } from "./words.js";
import { zip } from "./zip.js";

const PER_MS = { s: 1e-3, ms: 1, us: 1e3, ns: 1e6 };
const G = 9.80665;
const MOST_CLIPS = 500;

const part = (id) => document.getElementById(id);

export class RecordTab {
  // ensure: starts the sensor where nothing runs.
  constructor({ page, source, store, ensure, token }) {
    Object.assign(this, { page, source, store, ensure, token });
    part("clip-placement").value = page.contract.sensor.placement || "right wrist";
    part("record-clip").onclick = () => this.guarded("clip-state", () => this.record());
    part("clips-zip").onclick = () => this.guarded("clips-state", () => this.download());
    part("clips-save").onclick = () => this.guarded("clips-state", () => this.save());
    part("clips-save").hidden = !page.served?.clips;
  }

  async guarded(state, work) {
    const buttons = ["record-clip", "clips-zip", "clips-save"].map(part);
    for (const button of buttons) button.disabled = true;
    try {
      await work();
    } catch (error) {
      part(state).textContent = error.message;
    }
    for (const button of buttons) button.disabled = false;
    await this.list();
  }

  async record() {
    const label = part("clip-label").value.trim().normalize("NFC");
    const subject = part("clip-subject").value.trim().normalize("NFC");
    const placement = part("clip-placement").value.trim();
    for (const [name, why] of [["activity", labelProblem(label)], ["name", nameProblem(subject)], ["placement", nameProblem(placement)]])
      if (why) throw new Error(`The ${name} ${why}.`);
    if ((await this.store.all("clips")).length >= MOST_CLIPS) throw new Error(`There are ${MOST_CLIPS} clips. Save them, and remove some.`);
    const seconds = secondsOf(part("clip-seconds"));
    await this.ensure();
    const { how } = this.source;
    const whenMs = Date.now();
    const recording = await recordStretch(this.source, seconds, { state: part("clip-state"), bar: part("clip-progress") });
    const gravity = this.page.rules.has_gravity;
    await this.store.add("clips", { label, subject, placement, gravity, whenMs, ...inMetres(recording, how) });
    part("clip-state").textContent = `kept: ${recording.time.length} samples of ${label}`;
  }

  async list() {
    const clips = await this.store.all("clips");
    part("clip-count").textContent = clips.length ? `(${clips.length})` : "";
    const rows = [...clips].reverse().map((clip) => {
      const seconds = (clip.time.at(-1) - clip.time[0]) / 1000;
      const text = `${clip.label}, ${clip.subject}: ${seconds.toFixed(1)} s, ${((clip.time.length - 1) / seconds).toFixed(0)} Hz${clip.isSaved ? ", saved" : ""}`;
      return listRow(text, async () => {
        await this.store.remove("clips", clip.id);
        await this.list();
      });
    });
    part("clips").replaceChildren(...(rows.length ? rows : [listRow("No clip yet.")]));
    part("clips-zip").disabled = part("clips-save").disabled = !clips.length;
  }

  async download() {
    const clips = await this.store.all("clips");
    const placements = new Set(clips.map((clip) => clip.placement));
    if (placements.size > 1) throw new Error(`A data set has one placement, and the clips have ${[...placements].join(", ")}. Remove the others.`);
    offer(zip(dataSet(clips)), "recordings.zip");
    part("clips-state").textContent = "unpack it, then: vskd data check --dataset folder --root recordings --view none";
  }

  async save() {
    let saved = 0;
    for (const clip of await this.store.all("clips")) {
      if (clip.isSaved) continue;
      const { label, subject, placement, gravity, whenMs } = clip;
      const answer = await fetch("clips", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Vskd-Token": this.token },
        body: JSON.stringify({ label, subject, placement, gravity, when_s: Math.floor(whenMs / 1000), samples: samplesText(clip) }),
      });
      if (!answer.ok) throw new Error(`${saved} clips were saved. The server says: ${(await answer.text()).slice(0, 300)}`);
      await this.store.put("clips", { ...clip, isSaved: true });
      saved++;
    }
    part("clips-state").textContent = saved ? `${saved} clips were saved` : "all of them were saved before";
  }
}

// Times in ms from the first, readings in m/s^2 and in the axes of the screen.
function inMetres({ time, xyz }, { unit, axes, timeUnit }) {
  const factor = unit === "g" ? G : 1;
  const columns = axes.split(",").map((axis) => ["xyz".indexOf(axis.trim().at(-1)), axis.trim()[0] === "-" ? -factor : factor]);
  return {
    time: time.map((when) => Number(when - time[0]) / PER_MS[timeUnit]),
    xyz: xyz.map((row) => columns.map(([column, sign]) => row[column] * sign)),
  };
}

// A row of a list, with a way to remove what it stands for.
export function listRow(text, remove) {
  const row = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = text;
  row.append(words);
  if (!remove) {
    row.className = "none";
    return row;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Remove";
  button.onclick = remove;
  row.append(button);
  return row;
}

// Offer a file for download.
export function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
