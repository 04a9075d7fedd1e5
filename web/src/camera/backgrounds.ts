/** The choice of the background in this page: tiles, strength, colour, slideshow, own pictures and videos. */

import type { Background } from "../module";
import { attempt, byId, make, setText, setTrouble } from "../dom";
import { acceptDrops, mark, removeButton, tile } from "../tiles";
import { change, forget, keep, keptFiles, settings, type Kept } from "./store";

const MAX_BYTES = 200_000_000;
type Show = (background: Background) => Promise<void>;

let kept: Kept[] = [];
let show: Show = async () => undefined;
let current: Background = { kind: "blur" };
let wishes = 0; // of them only the last is heeded: a video that was slow to begin comes too late
let slides: ReturnType<typeof setInterval> | undefined;
let film: HTMLVideoElement | null = null;
const pictures = new Map<string, string>(); // addresses of thumbnails, by id

/** `onChoice` puts a background behind the person; it rejects where it cannot be read. */
export async function setUpBackgrounds(onChoice: Show): Promise<void> {
  show = onChoice;
  setUpSliders();
  const input = byId<HTMLInputElement>("upload");
  input.onchange = () => void add([...(input.files ?? [])]).then(() => (input.value = ""));
  acceptDrops(byId("drop"), (files) => void add(files));
  kept = await keptFiles();
  if (!isThere(settings.background)) change({ background: "blur" });
  draw();
  await apply();
}

/** What stands behind the person now. */
export const background = (): Background => current;

function isThere(name: string): boolean {
  return ["blur", "colour", "transparent"].includes(name) || kept.some((one) => one.id === name) || (name === "slideshow" && stills().length > 1);
}

const stills = (): Kept[] => kept.filter((one) => one.file.type.startsWith("image/"));

function setUpSliders(): void {
  const listen = (name: "strength" | "colour" | "seconds"): void => {
    const input = byId<HTMLInputElement>(name);
    input.oninput = () => {
      if (!input.checkValidity()) return;
      change({ [name]: name === "colour" ? input.value : Number(input.value) });
      drawChoice();
      void apply();
    };
  };
  listen("strength");
  listen("colour");
  listen("seconds");
}

function draw(): void {
  const swatches: [string, string][] = [
    ["blur", "Blur"],
    ["colour", "Colour"],
    ["transparent", "Transparent"],
  ];
  if (stills().length > 1) swatches.push(["slideshow", "Slideshow"]);
  const focused = document.activeElement?.id ?? "";
  byId("tiles").replaceChildren(
    ...swatches.map(([value, name]) => tile(value, name, make("span", { className: `art ${value}` }), () => choose(value))),
    ...kept.map((one) => own(one)),
  );
  document.getElementById(focused)?.focus();
  drawChoice();
}

function own(one: Kept): HTMLElement {
  const address = pictures.get(one.id) ?? URL.createObjectURL(one.file);
  pictures.set(one.id, address);
  const isVideo = one.file.type.startsWith("video/");
  const art = isVideo
    ? make("video", { className: "art", src: address, muted: true, preload: "metadata" })
    : make("img", { className: "art", src: address, alt: "" });
  const element = tile(one.id, one.name, art, () => choose(one.id));
  element.append(removeButton(one.name, () => void attempt(() => remove(one))));
  return element;
}

function drawChoice(): void {
  mark(settings.background);
  byId("strength-field").hidden = settings.background !== "blur";
  byId("colour-field").hidden = settings.background !== "colour";
  byId("seconds-field").hidden = settings.background !== "slideshow";
  for (const name of ["strength", "colour", "seconds"] as const) {
    const input = byId<HTMLInputElement>(name);
    if (input.value !== String(settings[name])) input.value = String(settings[name]);
  }
  setText(byId("strength-value"), String(settings.strength));
  const swatch = document.querySelector<HTMLElement>(".art.colour");
  if (swatch !== null) swatch.style.backgroundColor = settings.colour;
}

function choose(name: string): void {
  change({ background: name });
  drawChoice();
  void apply();
}

/** Put the chosen background behind the person; where it cannot be read, say so and stay with the one before. */
async function apply(): Promise<void> {
  const wish = ++wishes;
  clearInterval(slides);
  setTrouble("");
  try {
    const next = await chosen();
    if (wish === wishes) await put(next);
    else if (next.kind === "video") next.video.pause();
  } catch (error) {
    if (wish === wishes) setTrouble(`This background cannot be shown: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function put(next: Background): Promise<void> {
  const wish = wishes;
  await show(next);
  if (wish !== wishes) return;
  current = next;
  if (film !== null && (next.kind !== "video" || next.video !== film)) {
    film.pause();
    film.removeAttribute("src");
    film = null;
  }
  if (next.kind === "video") film = next.video;
}

async function chosen(): Promise<Background> {
  switch (settings.background) {
    case "blur":
      return { kind: "blur", strength: settings.strength };
    case "colour":
      return { kind: "colour", colour: settings.colour };
    case "transparent":
      return { kind: "transparent" };
    case "slideshow":
      return slideshow();
  }
  const one = kept.find((each) => each.id === settings.background);
  if (one === undefined) return { kind: "blur", strength: settings.strength };
  return one.file.type.startsWith("video/") ? { kind: "video", video: await play(one) } : { kind: "image", image: one.file };
}

/** The pictures by name, each for some seconds, over and over. */
function slideshow(): Background {
  let number = 0;
  slides = setInterval(() => {
    const one = stills()[++number % Math.max(1, stills().length)];
    if (one !== undefined) void put({ kind: "image", image: one.file }).catch(() => undefined); // the next one follows
  }, 1000 * settings.seconds);
  return { kind: "image", image: (stills()[0] as Kept).file };
}

async function play(one: Kept): Promise<HTMLVideoElement> {
  const video = make("video", { src: pictures.get(one.id) ?? "", muted: true, loop: true, playsInline: true });
  await video.play();
  if (video.readyState < video.HAVE_CURRENT_DATA) await new Promise((done) => video.addEventListener("loadeddata", done, { once: true }));
  return video;
}

async function add(files: File[]): Promise<void> {
  setTrouble("");
  const status = byId("upload-status");
  const wrong: string[] = [];
  let last: Kept | null = null;
  for (const file of files) {
    const why = await refusal(file);
    if (why !== "") wrong.push(why);
    else {
      last = { id: newId(), name: file.name, file };
      if (!(await keep(last))) wrong.push(`${file.name}: this browser has no room for it, so it is there until the page is closed`);
    }
  }
  kept = await keptFiles();
  if (last !== null) change({ background: last.id });
  draw();
  if (last !== null) await apply();
  setText(status, last === null ? "" : `${last.name} is added and chosen.`);
  if (wrong.length > 0) setTrouble(wrong.join(" · "));
}

/** A page that is not secure has no `crypto.randomUUID`. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What is wrong with a file; "" if nothing is. */
async function refusal(file: File): Promise<string> {
  if (file.size > MAX_BYTES) return `${file.name}: over the limit of 200 MB`;
  if (file.type.startsWith("image/")) {
    return createImageBitmap(file).then(
      (picture) => (picture.close(), ""),
      () => `${file.name}: not a picture this browser can read`,
    );
  }
  if (file.type.startsWith("video/")) return (await canPlay(file)) ? "" : `${file.name}: not a video this browser can play`;
  return `${file.name}: want a picture or a video`;
}

async function canPlay(file: File): Promise<boolean> {
  const address = URL.createObjectURL(file);
  const video = make("video", { src: address, muted: true, preload: "auto" });
  const answer = await new Promise<boolean>((done) => {
    video.onloadeddata = () => done(video.videoWidth > 0);
    video.onerror = () => done(false);
  });
  video.removeAttribute("src");
  URL.revokeObjectURL(address);
  return answer;
}

async function remove(one: Kept): Promise<void> {
  await forget(one.id);
  const address = pictures.get(one.id);
  if (address !== undefined) URL.revokeObjectURL(address);
  pictures.delete(one.id);
  kept = kept.filter((each) => each.id !== one.id);
  const wasShown = settings.background === one.id || !isThere(settings.background);
  if (wasShown) change({ background: "blur" });
  draw();
  if (wasShown) await apply();
  setText(byId("upload-status"), `${one.name} is removed.`);
  document.querySelector<HTMLElement>('input[name="background"]:checked')?.focus();
}
