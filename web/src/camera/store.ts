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
const USUAL: Settings = { background: "blur", strength: 20, colour: "#00b140", seconds: 10, mirror: true, device: "" };

export const settings: Settings = load();

function load(): Settings {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { ...USUAL, ...(kept as Partial<Settings>) };
  } catch {
    return { ...USUAL }; // a browser that keeps nothing, or something else's text
  }
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
    return await promised(act(base.transaction("files", mode).objectStore("files")));
  } finally {
    base.close();
  }
}

function open(): IDBOpenDBRequest {
  const request = indexedDB.open(KEY, 1);
  request.onupgradeneeded = () => request.result.createObjectStore("files", { keyPath: "id" });
  return request;
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
  return all.sort((one, other) => one.name.localeCompare(other.name));
}

export const keep = (one: Kept): Promise<unknown> => ask("readwrite", (files) => files.put(one));
export const forget = (id: string): Promise<unknown> => ask("readwrite", (files) => files.delete(id));
