// The network as WebAssembly, behind the interface of network.js.

// bytes: of the module; layout: where in its arena first tensor, logits and embedding lie.
export async function wasmNetwork(bytes, layout, plan) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  const { memory, window: place, arena, encode, run } = instance.exports;
  const begin = arena();
  const samples = new Float32Array(memory.buffer, place());
  const tensor = (at, number) => {
    const [height, width, channels] = plan.tensors[number].shape;
    return new Int8Array(memory.buffer, begin + at, height * width * channels);
  };
  const first = tensor(layout.first, 0);
  const values = (at, number) => {
    if (number === null) return null;
    const { scale, zero_point: zeroPoint } = plan.tensors[number];
    const integers = tensor(at, number);
    return () => Float32Array.from(integers, (q) => scale * (q - zeroPoint));
  };
  const [logits, embedding] = [values(layout.logits, plan.logits), values(layout.embedding, plan.embedding)];
  return (window) => {
    window.forEach((row, axis) => samples.set(row, axis * row.length));
    encode();
    const encoded = first.slice(); // the network writes over it
    run();
    return { logits: logits(), embedding: embedding && embedding(), encoded };
  };
}
