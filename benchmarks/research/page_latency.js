// Times the page's network in this browser, by both engines, in a worker as the page has it; the answer goes back.

const WARM = 50;

async function measured() {
  const { network } = await import("./core/network.js");
  const { readPlan } = await import("./core/plan.js");
  const { wasmNetwork } = await import("./core/wasm.js");
  const json = async (name) => (await fetch(name)).json();
  const bytes = async (name) => (await fetch(name)).arrayBuffer();
  const [page, header, arrays, job] = await Promise.all(
    [json("model/page.json"), json("model/plan.json"), bytes("model/plan.bin"), json("job.json")]);
  const plan = readPlan(header, arrays);
  const windows = job.windows.map((window) => window.map((row) => Float32Array.from(row)));
  const module = await bytes("model/network.wasm");
  const found = { agent: navigator.userAgent, isolated: self.crossOriginIsolated, samples: page.rules.samples };
  for (const [name, load] of [
    ["wasm", () => wasmNetwork(module, page.wasm, plan)],
    ["js", () => network(page.encoding, plan)],
  ]) {
    const begin = performance.now();
    const run = await load();
    const loadMs = performance.now() - begin;
    const times = Array.from({ length: WARM + job.count }, (_, i) => {
      const beginMs = performance.now();
      run(windows[i % windows.length]);
      return performance.now() - beginMs;
    });
    found[name] = { load_ms: loadMs, first_ms: times[0], times_ms: times.slice(WARM) };
  }
  return found;
}

if (typeof document === "undefined") {
  measured().then((found) => self.postMessage({ found }), (error) => self.postMessage({ error: String(error) }));
} else {
  const worker = new Worker("page_latency.js", { type: "module" });
  const send = (answer) => fetch("answer", { method: "POST", body: JSON.stringify(answer) });
  worker.onmessage = ({ data }) => send(data);
  worker.onerror = (event) => send({ error: event.message || "the worker did not start" });
}
