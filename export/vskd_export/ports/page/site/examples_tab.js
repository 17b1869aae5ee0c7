// The tab "Examples": the wearer's own examples, kept in the browser, and the profile file of vskd enroll.

import { contradiction, profileFromBytes, profileToBytes } from "./core/examples.js";
import { listRow, offer } from "./record_tab.js";
import { recordStretch, secondsOf } from "./recorder.js";
import { labelProblem } from "./words.js";


const part = (id) => document.getElementById(id);

export class ExamplesTab {
  constructor({ page, core, source, store, ensure, hasFeatures, changed }) {
    Object.assign(this, { page, core, source, store, ensure, changed });
    this.doubtful = null;
    const problem = why(page, hasFeatures);
    if (problem) part("examples-intro").textContent = problem;
    part("examples-form").hidden = part("profile-export").hidden = Boolean(problem);
    document.querySelector("label[for=profile-file]").hidden = Boolean(problem);
    part("record-example").onclick = () => this.guarded(() => this.record());
    part("keep-doubtful").onclick = () => this.guarded(() => this.keep(this.doubtful));
    part("drop-doubtful").onclick = () => this.doubt(null);
    part("profile-export").onclick = () => this.guarded(() => this.export());
    part("profile-file").onchange = () => this.guarded(() => this.import());
  }

  // The examples of this model, in the order of their enrolment.
  async mine() {
    const all = await this.store.all("examples");
    return all.filter((one) => one.bundle === this.page.bundle_sha256);
  }

  async guarded(work) {
    part("record-example").disabled = true;
    try {
      await work();
    } catch (error) {
      part("example-state").textContent = error.message;
    }
    part("record-example").disabled = false;
    await this.list();
  }

  async record() {
    this.doubt(null);
    const label = part("example-label").value.trim().normalize("NFC");
    const problem = labelProblem(label);
    if (problem) throw new Error(`The activity ${problem}.`);
    const seconds = secondsOf(part("example-seconds"));
    await this.ensure();
    const shown = { state: part("example-state"), bar: part("example-progress") };
    const { time, xyz } = await recordStretch(this.source, seconds, shown);
    const samples = time.map((when, i) => [when, ...xyz[i]]);
    const feature = await this.core.ask("example", { how: this.source.how, samples });
    const example = { label, whenS: Math.floor(Date.now() / 1000), feature };
    const against = contradiction(await this.mine(), label, feature);
    if (against) this.doubt(example, `This example contradicts the others: ${against}.`);
    else await this.keep(example);
    part("example-state").textContent = against ? "" : `kept as an example of ${label}`;
  }

  doubt(example, text = "") {
    this.doubtful = example;
    part("doubt").hidden = !example;
    part("doubt").querySelector("p").textContent = text;
  }

  async keep(example) {
    const mine = await this.mine();
    if (mine.length >= this.page.rules.examples)
      throw new Error(`This page holds at most ${this.page.rules.examples} examples. Remove some.`);
    if (mine.some((one) => String(one.feature) === String(example.feature)))
      throw new Error("This recording is in the profile already.");
    await this.store.add("examples", { ...example, bundle: this.page.bundle_sha256 });
    this.doubt(null);
    await this.apply();
  }

  async apply() {
    const examples = (await this.mine()).map(({ label, feature }) => ({ label, feature }));
    this.changed(await this.core.ask("examples", { examples }));
  }

  async list() {
    const mine = await this.mine();
    part("example-count").textContent = mine.length ? `(${mine.length})` : "";
    const rows = mine.map((one, i) =>
      listRow(`${i + 1}. ${one.label}, ${new Date(one.whenS * 1000).toLocaleString()}`, () =>
        this.guarded(async () => {
          await this.store.remove("examples", one.id);
          await this.apply();
        }),
      ),
    );
    part("example-list").replaceChildren(...(rows.length ? rows : [listRow("No example yet.")]));
    part("profile-export").disabled = !mine.length;
  }

  async export() {
    const { bundle_sha256: bundleSha256, contract_sha256: contractSha256 } = this.page;
    offer(new Blob([await profileToBytes({ bundleSha256, contractSha256, examples: await this.mine() })]), "wearer.profile");
  }

  async import() {
    const [file] = part("profile-file").files;
    part("profile-file").value = "";
    const bytes = new Uint8Array(await file.arrayBuffer());
    const found = await profileFromBytes(bytes, { bundleSha256: this.page.bundle_sha256, labelProblem });
    for (const example of found) await this.keep(example);
    part("example-state").textContent = `${found.length} examples of ${file.name} were added`;
  }
}

// Why this model can take no examples; empty where it can.
function why({ contract }, hasFeatures) {
  if (!contract.examples) return "This model takes no examples: its contract does not say how much they count.";
  return hasFeatures ? "" : "This model takes no examples: it gives no embedding.";
}
