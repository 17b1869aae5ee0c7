// Runs the page's core for the tests: a job (JSON) on each line of standard input, its answer on a line of output.
// Numbers that JSON cannot hold are texts: "nan", "inf", "-inf"; whole numbers of ns are texts that end with n.

import { readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const core = pathToFileURL(process.argv[2] + "/");
const load = (name) => import(new URL(name, core));
const { Classifier } = await load("classifier.js");
const { ExampleRule, exampleOf, profileFromBytes, profileToBytes } = await load("examples.js");
const { exponential } = await load("exponential.js");
const { network } = await load("network.js");
const { readPlan } = await load("plan.js");
const { rescaled } = await load("rescaled.js");
const { wasmNetwork } = await load("wasm.js");
const { dataSet } = await load("../site/dataset.js");
const { zip } = await load("../site/zip.js");
const { readCsv } = await load("../site/csv.js");
const { labelProblem } = await load("../site/words.js");

const number = (value) => {
  if (typeof value !== "string") return value;
  if (value.endsWith("n") && value !== "nan") return BigInt(value.slice(0, -1));
  return Number(value.replace("inf", "Infinity").replace("nan", "NaN"));
};

// The stand-in for a network, as standing_in in Python.
function infer(samples, gain) {
  const means = samples.map((row) => row.reduce((sum, value) => sum + value, 0) / row.length);
  const logits = means.map((mean) => Math.fround(mean * gain));
  return { logits, embedding: [...logits, samples[0][0], samples[1].at(-1)].map(Math.fround) };
}

function play({ rules, options, samples, gain, examples, silence }) {
  const network = (window) => infer(window, gain);
  const rule = examples?.length
    ? new ExampleRule(rules, examples.map(({ label, feature }) => ({ label, feature: Int8Array.from(feature) })))
    : null;
  const classifier = new Classifier(rules, network, options, rule);
  const events = [];
  let wrong = "";
  try {
    samples.forEach((sample, i) => {
      events.push(...classifier.push(...sample.map(number)));
      const heard = silence?.[i];
      if (heard === undefined) return;
      classifier.delivered(heard[0]);
      if (heard[1]) events.push(...classifier.silence(heard[1]));
    });
    events.push(...classifier.finish());
  } catch (error) {
    if (error.name !== "WrongUnit") throw error;
    wrong = error.looksLike;
  }
  const { counts, recentRateHz, recentSaturated, turned } = classifier.health;
  return {
    wrong,
    labels: classifier.labels,
    health: { ...counts, recent_rate_hz: recentRateHz, recent_saturated: recentSaturated, turned },
    events: events.map((event) => ({
      ...event,
      reason: event.reason?.code ?? "",
      defects: event.defects.map((defect) => defect.kind),
      samples: event.samples && event.samples.map((row) => Array.from(row)),
    })),
  };
}

// An encoder and a network, by wasm where there is any.
async function runner({ encoding, plan, arrays, wasm, layout }) {
  const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64")).buffer;
  const read = readPlan(plan, bytes(arrays));
  return wasm ? wasmNetwork(bytes(wasm), layout, read) : network(encoding, read);
}

const jobs = {
  play,
  zip: async ({ clips, out }) => writeFile(out, Buffer.from(await zip(dataSet(clips)).arrayBuffer())),
  csv: ({ text, layout }) => {
    try {
      const { time, xyz, ...rest } = readCsv(text, layout);
      return { ...rest, time: time.map(String), xyz: xyz.map((row) => row.map(String)) };
    } catch (error) {
      return error.message;
    }
  },
  // A profile's file, read and written again; the message where it is refused.
  profile: async ({ file, bundleSha256, contractSha256 }) => {
    try {
      const examples = await profileFromBytes(new Uint8Array(Buffer.from(file, "base64")), { bundleSha256, labelProblem });
      const written = Buffer.from(await profileToBytes({ bundleSha256, contractSha256, examples }));
      return { labels: examples.map((one) => one.label), written: written.toString("base64") };
    } catch (error) {
      return error.message;
    }
  },
  exp: ({ rules, values }) => values.map(exponential(rules)),

  rescaled: ({ values, multipliers, shift }) => values.map((value, i) => rescaled(value, multipliers[i], shift)),

  // Windows through an encoder and a network: the first tensor, logits and embedding of each, and the median of the processor's time, ms.
  async network({ windows, ...model }) {
    const run = await runner(model);
    const timesMs = [];
    const answers = windows.map((window) => {
      const rows = window.map((row) => Float32Array.from(row));
      const begin = process.cpuUsage();
      const { logits, embedding, encoded } = run(rows);
      timesMs.push(process.cpuUsage(begin).user / 1000);
      return [encoded, logits, embedding].map((values) => values && Array.from(values));
    });
    return { answers, medianMs: timesMs.sort((a, b) => a - b)[Math.floor(timesMs.length / 2)] };
  },

  // Windows of a file (n, 3, samples), float32; their logits, float32, go into another one.
  async many({ file, out, ...model }) {
    const run = await runner(model);
    const { buffer, byteOffset, length } = await readFile(file);
    const values = new Float32Array(buffer, byteOffset, length / 4);
    const { samples } = model.encoding;
    const found = [];
    for (let at = 0; at < values.length; at += 3 * samples) {
      const rows = [0, 1, 2].map((axis) => values.slice(at + axis * samples, at + (axis + 1) * samples));
      found.push(...run(rows).logits);
    }
    await writeFile(out, Float32Array.from(found));
  },

  example: ({ rules, options, samples, gain }) => {
    try {
      return Array.from(exampleOf(rules, (window) => infer(window, gain), options, samples.map((one) => one.map(number))));
    } catch (error) {
      return error.message;
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { job, ...rest } = JSON.parse(line);
  process.stdout.write(JSON.stringify((await jobs[job](rest)) ?? null) + "\n");
}
