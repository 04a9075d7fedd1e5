/** What stays in this browser: settings as text, backgrounds as files. Nothing of it is sent anywhere. */

export interface Settings {
  background: string; // blur, colour, transparent, slideshow, or the id of a kept file
  strength: number;
  colour: string;
  seconds: number; // of each picture of the slideshow
  mirror: boolean;
  device: string;
}

export interface Kept {
  readonly id: string;
  readonly name: string;
  readonly file: Blob;
}

const KEY = "figureground";
const passing: Kept[] = []; // files that the browser does not keep: there until the page is closed
const USUAL: Settings = { background: "blur", strength: 20, colour: "#00b140", seconds: 10, mirror: true, device: "" };

export const settings: Settings = load();

function load(): Settings {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const found = { ...USUAL, ...(kept as Partial<Settings>) };
    return isSound(found) ? found : { ...USUAL };
  } catch {
    return { ...USUAL }; // a browser that keeps nothing, or something else's text
  }
}

/** Whether it is what this page writes; older ones and other programs of this address write, too. */
function isSound({ strength, colour, seconds }: Settings): boolean {
  return strength >= 1 && strength <= 100 && seconds >= 1 && seconds <= 600 && /^#[0-9a-f]{6}$/i.test(colour);
}

export function change(changes: Partial<Settings>): void {
  Object.assign(settings, changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // It holds until the page is closed.
  }
}

async function ask<T>(mode: IDBTransactionMode, act: (files: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const base = await promised(open());
  try {
    const work = base.transaction("files", mode);
    // A file that the disk has no room for is refused at the very end, after its request has gone well.
    const [answer] = await Promise.all([promised(act(work.objectStore("files"))), completed(work)]);
    return answer;
  } finally {
    base.close();
  }
}

function open(): IDBOpenDBRequest {
  const request = indexedDB.open(KEY, 1);
  request.onupgradeneeded = () => request.result.createObjectStore("files", { keyPath: "id" });
  return request;
}

function completed(work: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    work.oncomplete = () => resolve();
    work.onabort = () => reject(work.error ?? new Error("this browser keeps no files"));
  });
}

function promised<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("this browser keeps no files"));
  });
}

/** The backgrounds that were added, in the order of their names. */
export async function keptFiles(): Promise<Kept[]> {
  const all = await ask("readonly", (files) => files.getAll() as IDBRequest<Kept[]>).catch(() => []);
  return [...all, ...passing].sort((one, other) => one.name.localeCompare(other.name));
}

/** Whether the file outlives the page; where it does not, it is there until then all the same. */
export async function keep(one: Kept): Promise<boolean> {
  try {
    await ask("readwrite", (files) => files.put(one));
    return true;
  } catch {
    passing.push(one);
    return false;
  }
}

export async function forget(id: string): Promise<void> {
  const place = passing.findIndex((one) => one.id === id);
  if (place >= 0) passing.splice(place, 1);
  else await ask("readwrite", (files) => files.delete(id));
}
