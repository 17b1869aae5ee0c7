// Puts the page together: model, source, tabs, offline use.

import { Core } from "./client.js";
import { ExamplesTab } from "./examples_tab.js";
import { LiveTab, fill } from "./live_tab.js";
import { RecordTab } from "./record_tab.js";
import { motionProblem, usualAxes } from "./sensor.js";
import { Source } from "./source.js";
import { Store } from "./store.js";
import { wrongUnit } from "./words.js";

const TABS = ["live", "record", "examples", "about"];

const part = (id) => document.getElementById(id);

function trouble(text) {
  part("trouble").textContent = text;
  part("trouble").hidden = !text;
}

// The server's token comes behind the #, which no browser sends; it is kept for this tab alone.
function takeToken() {
  const found = /^#token=([\w-]+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem("token", found[1]);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

function showTab() {
  const name = TABS.find((tab) => location.hash === `#${tab}`) ?? "live";
  for (const tab of TABS) part(tab).hidden = tab !== name;
  for (const link of document.querySelectorAll("nav a"))
    link.toggleAttribute("aria-current", link.dataset.tab === name);
  scrollTo(0, 0);
}

// Use without a network. A self-signed certificate is not enough for it.
async function keepOffline(source) {
  if (!("serviceWorker" in navigator)) return "Offline use needs https (or this machine itself).";
  const workers = navigator.serviceWorker;
  const isOld = Boolean(workers.controller); // this page came out of the browser's store
  workers.addEventListener("controllerchange", () => isOld && !source.isRunning && location.reload());
  try {
    await workers.register("sw.js");
    await workers.ready;
    return "This page works without a network from now on. The browser's menu installs it.";
  } catch (error) {
    return `It needs its server: ${error.message}`;
  }
}

function describe(page, engine) {
  const { rules, contract } = page;
  document.title = part("title").textContent = page.name;
  part("subtitle").textContent = `${rules.labels.length} activities, ${rules.rate_hz} Hz, ${contract.sensor.placement}`;
  part("engine-note").textContent = `Engine: ${engine}.`;
  fill(part("model-facts"), {
    Activities: rules.labels.join(", "),
    Window: `${rules.window_s.toFixed(2)} s, one every ${(rules.hop / rules.rate_hz).toFixed(2)} s`,
    "Trained on": contract.trained_on || "not stated",
    Sensor: `${contract.sensor.placement}, gravity ${contract.sensor.gravity}`,
    Model: page.model,
    Bundle: page.bundle_sha256.slice(0, 16),
  });
  part("labels").replaceChildren(...rules.labels.map((label) => Object.assign(document.createElement("option"), { value: label })));
}

async function main() {
  showTab();
  const token = takeToken();
  addEventListener("hashchange", showTab);
  const page = await (await fetch("model/page.json")).json();
  const core = new Core();
  const [{ engine, features }, store] = await Promise.all([core.ask("open", { page }), Store.open()]);
  describe(page, engine);

  const live = new LiveTab(page);
  const source = new Source({
    core,
    page,
    token,
    show: (answer) => {
      live.show(answer);
      if (source.isRunning && answer.rateHz) part("source-state").textContent = `${source.name}: ${answer.rateHz.toFixed(1)} Hz`;
    },
    taken: (...samples) => live.taken(...samples),
    state: (text, isRunning, error) => {
      part("source-state").textContent = text;
      part("stop").hidden = !isRunning;
      if (error) trouble(error.name === "WrongUnit" ? wrongUnit(error) : error.message);
    },
  });
  const started = async (name, work) => {
    trouble("");
    await source.stop();
    live.clear();
    source.name = name;
    try {
      await work();
    } catch (error) {
      source.fail(error);
      trouble(error.name === "WrongUnit" ? wrongUnit(error) : error.message);
      throw error;
    }
  };
  const axes = () => part("axes").value.trim();
  const startSensor = () => started("sensor", () => source.startSensor(axes()));
  const playFile = (file) =>
    started(file.name, () =>
      source.playFile(file, {
        unit: part("unit").value,
        axes: axes(),
        speed: Number(part("speed").value),
        layout: part("layout").value,
      }),
    );
  const told = (promise) => promise.catch(() => {}); // trouble() has said it

  part("axes").value = usualAxes();
  part("start-sensor").onclick = () => told(startSensor());
  part("start-live").onclick = () => told(started("server", () => source.startLive()));
  part("start-live").hidden = !page.served?.live;
  part("stop").onclick = () => source.stop();
  part("file").onchange = ({ target }) => {
    const [file] = target.files;
    target.value = "";
    part("axes").value = file ? "x,y,z" : part("axes").value;
    if (file) told(playFile(file));
  };
  takeDrops(playFile, told);

  const ensure = async () => {
    if (!source.isRunning) await startSensor();
  };
  const record = new RecordTab({ page, source, store, ensure, token });
  const changed = (labels) => (live.labels = labels);
  const examples = new ExamplesTab({ page, core, source, store, ensure, hasFeatures: features, changed });
  await Promise.all([record.list(), examples.list()]);
  if (page.rules.examples && features) await examples.apply();
  if (motionProblem()) part("source-state").textContent = motionProblem();
  document.body.dataset.ready = "yes";
  part("offline-note").textContent = await keepOffline(source);
  document.body.dataset.offline = "known";
}

function takeDrops(playFile, told) {
  let depth = 0;
  const show = (change) => (part("drop").hidden = (depth = Math.max(0, depth + change)) === 0);
  addEventListener("dragenter", () => show(1));
  addEventListener("dragleave", () => show(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    show(-depth);
    const [file] = event.dataTransfer.files;
    if (file) told(playFile(file));
  });
}

main().catch((error) => trouble(`The page cannot start: ${error.message}`));
