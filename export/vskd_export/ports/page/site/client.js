// Asks the worker, and waits for its answers.

export class Core {
  constructor() {
    this.worker = new Worker("worker.js", { type: "module" });
    this.waiting = new Map();
    this.worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) reject(Object.assign(new Error(error.message), error));
      else resolve(result);
    };
    this.broken = new Promise((_, reject) => {
      this.worker.onerror = (event) => reject(new Error(event.message || "the worker cannot be loaded"));
    });
    this.broken.catch(() => {}); // whoever asks next is told
  }

  // One of the worker's jobs.
  ask(job, parts = {}) {
    const id = (this.last = (this.last ?? 0) + 1);
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.worker.postMessage({ id, job, ...parts });
    return Promise.race([answer, this.broken]);
  }
}
