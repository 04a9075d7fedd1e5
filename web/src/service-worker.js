/**
 * Keeps the page usable without a network, and lets WebAssembly have threads on hosts that cannot set headers.
 * Only the built files are answered for; whatever else this address serves, such as figureground's API, passes by.
 */

const FILES = [/* files */];
const NAME = `figureground ${self.registration.scope}`; // another copy of the page may be at the same host

const absolute = (file) => new URL(file, self.registration.scope).href;

self.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(NAME);
    const known = new Set((await cache.keys()).map((request) => request.url));
    const isThere = (file) => file.startsWith("assets/") && known.has(absolute(file)); // its name tells its contents
    await cache.addAll(FILES.filter((file) => !isThere(file)).map(absolute));
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    const cache = await caches.open(NAME);
    const wanted = new Set(FILES.map(absolute));
    for (const request of await cache.keys()) if (!wanted.has(request.url)) await cache.delete(request);
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = request.url.split(/[?#]/)[0];
  if (request.method !== "GET" || !address.startsWith(self.registration.scope)) return;
  const file = address.slice(self.registration.scope.length);
  // What WebGPU needs is kept once it is used. Other files may be those of another program that has this address now.
  if (file.startsWith("assets/") && (FILES.includes(file) || file.startsWith("assets/onnxruntime-"))) event.respondWith(fromCache(address));
  else if (file === "" || file === "index.html") event.respondWith(fromNetwork(request));
});

async function fromCache(address) {
  const kept = await caches.match(address);
  if (kept) return isolated(kept);
  const answer = await fetch(address);
  if (answer.ok) await keep(address, answer.clone());
  return isolated(answer);
}

async function keep(address, answer) {
  try {
    await (await caches.open(NAME)).put(address, answer);
  } catch {
    // No room: it is fetched again the next time.
  }
}

/** The newest page where there is a network; a server that is not there any longer counts as none. */
async function fromNetwork(request) {
  let answer;
  try {
    answer = await fetch(request);
  } catch (error) {
    const kept = await caches.match(absolute("./"));
    if (kept) return isolated(kept);
    throw error;
  }
  const isOurs = answer.ok && !answer.redirected && (await answer.clone().text()).includes("<title>Figureground</title>");
  return isOurs ? isolated(answer) : answer;
}

/** With the headers that WebAssembly's threads need. */
function isolated(answer) {
  const headers = new Headers(answer.headers);
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
