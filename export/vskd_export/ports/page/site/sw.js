// Use without a network: every file of this version of the page, kept when it is installed. VERSION and FILES stand
// above this line, written by vskd.

const OURS = `vskd ${self.registration.scope} `; // another page of this server has its own
const CACHE = OURS + VERSION;

self.addEventListener("install", (event) => {
  const kept = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
    await self.skipWaiting();
  };
  event.waitUntil(kept());
});

self.addEventListener("activate", (event) => {
  const swept = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith(OURS) && name !== CACHE).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(swept());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const here = new URL("./", self.location).href;
  const name = url.origin + url.pathname === here ? "./" : (url.origin + url.pathname).slice(here.length);
  if (event.request.method !== "GET" || !FILES.includes(name)) return;
  event.respondWith(caches.open(CACHE).then((cache) => cache.match(name)).then((found) => found ?? fetch(event.request)));
});
