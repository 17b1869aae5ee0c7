// The core in a worker of its own: one message in, one out, {id, result} or {id, error}.

import { Classifier } from "./core/classifier.js";
import { ExampleRule, exampleOf } from "./core/examples.js";
import { network } from "./core/network.js";
import { readPlan } from "./core/plan.js";
import { wasmNetwork } from "./core/wasm.js";

let rules, infer, classifier, options, rule;
let plan;
let seen = null; // what the network made of the latest window
const timesMs = [];

const jobs = {
  async open({ page }) {
    rules = page.rules;
    const [header, bytes] = await Promise.all([
      fetch("model/plan.json").then((answer) => answer.json()),
      fetch("model/plan.bin").then((answer) => answer.arrayBuffer()),
    ]);
    plan = readPlan(header, bytes);
    const { run, engine } = await fastest(page);
    infer = (window) => {
      const beginMs = performance.now();
      seen = run(window);
      timesMs.push(performance.now() - beginMs);
      if (timesMs.length > 50) timesMs.shift();
      return seen;
    };
    return { engine, features: plan.embedding !== null };
  },

  begin({ how }) {
    options = how;
    classifier = new Classifier(rules, infer, options, rule);
    timesMs.length = 0;
  },

  push({ time, xyz, clockS }) {
    const events = time.flatMap((when, i) => classifier.push(when, ...xyz[i]));
    if (clockS !== undefined) classifier.delivered(clockS);
    return state(events);
  },

  silence: ({ forS }) => state(classifier.silence(forS)),
  finish: () => state(classifier.finish()),

  examples({ examples }) {
    rule = examples.length ? new ExampleRule(rules, examples) : null;
    classifier?.setRule(rule);
    return rule ? rule.labels : rules.labels;
  },

  example: ({ how, samples }) => exampleOf(rules, infer, how, samples),

  // Answers of golden windows.
  windows: ({ windows }) => windows.map((window) => infer(window.map((row) => Float32Array.from(row))).logits),
};

// The network as WebAssembly, if it was compiled, this browser runs it, and it computes what JavaScript computes.
async function fastest(page) {
  const slow = network(page.encoding, plan);
  const because = (reason) => ({ run: slow, engine: `the network in JavaScript, slower: ${reason}` });
  if (!page.wasm) return because("it was not compiled where this page was made");
  try {
    const bytes = await (await fetch("model/network.wasm")).arrayBuffer();
    const fast = await wasmNetwork(bytes, page.wasm, plan);
    const window = [0.9, 0.5, 0.3].map((part) => Float32Array.from({ length: rules.samples }, (_, i) => Math.sin(i * part)));
    const [one, other] = [slow, fast].map((run) => run(window));
    const equal = ["logits", "embedding", "encoded"].every((name) => String(one[name]) === String(other[name]));
    return equal ? { run: fast, engine: "the network as WebAssembly" } : because("WebAssembly computes otherwise here");
  } catch (error) {
    return because(error.message);
  }
}

function state(events) {
  const sorted = [...timesMs].sort((a, b) => a - b);
  const view = events.length && seen ? pictured() : null;
  seen = null;
  return {
    events,
    view,
    labels: classifier.labels,
    counts: classifier.health.counts,
    rateHz: classifier.health.rateHz,
    medianMs: sorted.length ? sorted[Math.floor(sorted.length / 2)] : null,
  };
}

// The first tensor, in the encoder's order, and the embedding.
function pictured() {
  const { encoded, embedding } = seen;
  return { encoded: Int8Array.from(plan.places, (place) => encoded[place]), shape: plan.places.shape, embedding };
}

self.onmessage = async ({ data: { id, job, ...parts } }) => {
  try {
    self.postMessage({ id, result: await jobs[job](parts) });
  } catch (error) {
    self.postMessage({ id, error: { name: error.name, message: error.message, ...error } });
  }
};
