// What the browser keeps for this page: clips and examples, in IndexedDB.

const STORES = ["clips", "examples"];

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("vskd", 1);
    request.onupgradeneeded = () => {
      for (const name of STORES) request.result.createObjectStore(name, { keyPath: "id", autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export class Store {
  static async open() {
    return new Store(await opened());
  }

  constructor(database) {
    this.database = database;
  }

  // One of "clips" and "examples".
  at(name, mode = "readonly") {
    return this.database.transaction(name, mode).objectStore(name);
  }

  all(name) {
    return done(this.at(name).getAll());
  }

  add(name, value) {
    return done(this.at(name, "readwrite").add(value));
  }

  put(name, value) {
    return done(this.at(name, "readwrite").put(value));
  }

  remove(name, id) {
    return done(this.at(name, "readwrite").delete(id));
  }
}
