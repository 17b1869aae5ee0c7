// Replays golden windows and streams through the page's core, for replay.py: a job (JSON) in, counts (JSON) out.

import { Classifier } from "./core/classifier.js";
import { network } from "./core/network.js";
import { readPlan } from "./core/plan.js";
import { wasmNetwork } from "./core/wasm.js";

// Probabilities are quotients of exp, which Python takes from its machine's library.
const CLOSE = 1e-9;

let text = "";
for await (const piece of process.stdin) text += piece;
const job = JSON.parse(text);
const bytes = (base64) => Uint8Array.from(Buffer.from(base64, "base64")).buffer;
const plan = readPlan(job.plan, bytes(job.arrays));
const engines = { js: network(job.encoding, plan) };
if (job.module) engines.wasm = await wasmNetwork(bytes(job.module), job.wasm, plan);

const number = (value) => Number(value.replace("inf", "Infinity").replace("nan", "NaN"));

function played(infer, { options, time, readings }) {
  const classifier = new Classifier(job.rules, infer, options);
  const events = readings.flatMap((row, i) =>
    classifier.push(typeof time[i] === "string" ? BigInt(time[i]) : time[i], ...row.map(number)),
  );
  return [...events, ...classifier.finish()];
}

const isDue = (event, [label, startS, endS, probabilities]) =>
  event?.label === label &&
  event.startS === startS &&
  event.endS === endS &&
  probabilities.every((value, i) => Math.abs(value - event.probabilities[i]) <= CLOSE);

const largest = (logits) => logits.indexOf(Math.max(...logits));

function counted(infer) {
  const counts = { windows: job.windows.length, windows_equal: 0, labels_equal: 0, events: 0, events_equal: 0 };
  job.windows.forEach((window, i) => {
    const { logits } = infer(window.map((row) => Float32Array.from(row)));
    counts.labels_equal += largest(logits) === largest(job.logits[i]);
    counts.windows_equal += String(Array.from(logits)) === String(job.logits[i]);
  });
  for (const stream of job.streams) {
    const events = played(infer, stream);
    counts.events += Math.max(events.length, stream.events.length);
    counts.events_equal += stream.events.filter((due, i) => isDue(events[i], due)).length;
  }
  return counts;
}

const found = Object.fromEntries(Object.entries(engines).map(([name, infer]) => [name, counted(infer)]));
if (job.module) {
  const { instance } = await WebAssembly.instantiate(bytes(job.module), {});
  found.wasm.memory = instance.exports.memory.buffer.byteLength;
}
process.stdout.write(JSON.stringify(found));
