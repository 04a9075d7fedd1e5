/** The choice of the background: tiles, the blur's strength, the colour, adding and removing pictures and videos. */

import { addBackground, backgrounds, removeBackground, thumbnail, type Background, type State } from "./api";
import { attempt, byId, make, setText, setTrouble } from "../dom";
import { acceptDrops, mark, removeButton, tile } from "../tiles";
import { isFree, wish } from "./settings";

const TYPES = ["image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "video/mp4", "video/webm"];
const MAX_BYTES = 25_000_000;
const PAUSE = 120; // ms between two wishes while a slider is moved
const GREEN = "#00b140";

let kept: Background[] = [];
let strength = 20;
let colour = GREEN;
let chosen = "";
let timer = 0;
let isMoving = false; // a slider, whose last place is not yet wished for

export function setUpBackgrounds(): void {
  const slider = byId<HTMLInputElement>("strength");
  slider.oninput = () => {
    strength = Number(slider.value);
    setText(byId("strength-value"), slider.value);
    soon(`blur:${strength}`);
  };
  const picker = byId<HTMLInputElement>("colour");
  picker.oninput = () => {
    colour = picker.value;
    soon(colour);
  };
  const input = byId<HTMLInputElement>("upload");
  input.accept = TYPES.join();
  input.onchange = () => void add([...(input.files ?? [])]).then(() => (input.value = ""));
  acceptDrops(byId("drop"), (files) => void add(files));
  drawTiles();
}

/** The list of what is kept, anew: at the start and whenever the connection is back. */
export async function loadBackgrounds(): Promise<void> {
  kept = await backgrounds().catch(() => kept); // a lost connection is told elsewhere
  drawTiles();
}

export function showBackground(state: State): void {
  const spec = state.settings.background;
  if (isMoving || !isFree("background") || spec === chosen) return;
  chosen = spec;
  if (spec.startsWith("blur")) strength = Number(spec.split(":")[1] ?? strength);
  if (spec.startsWith("#")) colour = spec;
  drawChoice();
}

/** What a tile stands for: blur and colour are one tile each, whatever the strength and the colour. */
function tileOf(spec: string): string {
  if (spec.startsWith("blur")) return "blur";
  return spec.startsWith("#") ? "colour" : spec;
}

function specOf(tile: string): string {
  if (tile === "blur") return `blur:${strength}`;
  return tile === "colour" ? colour : tile;
}

function choose(spec: string): void {
  chosen = spec;
  drawChoice();
  void wish({ background: spec });
}

function soon(spec: string): void {
  chosen = spec;
  drawChoice();
  clearTimeout(timer);
  isMoving = true;
  timer = setTimeout(() => {
    isMoving = false;
    void wish({ background: spec });
  }, PAUSE);
}

function drawTiles(): void {
  const swatches: [string, string][] = [
    ["blur", "Blur"],
    ["colour", "Colour"],
    ["transparent", "Transparent"],
  ];
  const focused = document.activeElement?.id ?? "";
  byId("tiles").replaceChildren(
    ...swatches.map(([value, name]) => tile(value, name, make("span", { className: `art ${value}` }), () => choose(specOf(value)))),
    ...kept.map((one) => picture(one)),
  );
  document.getElementById(focused)?.focus();
  drawChoice();
}

function picture(one: Background): HTMLElement {
  const image = make("img", { className: "art", src: thumbnail(one.id), alt: "", loading: "lazy" });
  const element = tile(one.id, one.name, image, () => choose(one.id));
  if (one.id !== "given") element.append(removeButton(one.name, () => void drop(one)));
  return element;
}

function drawChoice(): void {
  const current = tileOf(chosen);
  mark(current);
  byId("strength-field").hidden = current !== "blur";
  byId("colour-field").hidden = current !== "colour";
  byId("transparent-note").hidden = current !== "transparent";
  byId<HTMLInputElement>("strength").value = String(strength);
  setText(byId("strength-value"), String(strength));
  byId<HTMLInputElement>("colour").value = colour;
  const swatch = document.querySelector<HTMLElement>(".art.colour");
  if (swatch !== null) swatch.style.backgroundColor = colour;
}

async function add(files: File[]): Promise<void> {
  const status = byId("upload-status");
  const added: Background[] = [];
  const wrong: string[] = [];
  for (const file of files) {
    setText(status, `Adding ${file.name} …`);
    const why = refused(file) || (await addBackground(file).then((one) => void added.push(one), (error: Error) => error.message));
    if (why) wrong.push(why);
  }
  await loadBackgrounds();
  const last = added.at(-1);
  setText(status, last ? `${last.name} is added and chosen.` : "");
  if (last) choose(last.id);
  setTrouble(wrong.join(" · "));
}

/** What is wrong with a file before it is sent; "" if nothing is. */
function refused(file: File): string {
  if (!TYPES.includes(file.type)) return `${file.name}: want a picture (JPEG, PNG, WebP, BMP, TIFF) or video (MP4, WebM)`;
  return file.size > MAX_BYTES ? `${file.name}: over the limit of 25 MB` : "";
}

async function drop(one: Background): Promise<void> {
  if (one.id === chosen) return setTrouble(`${one.name} is in use: choose another background first`);
  const went = await attempt(() => removeBackground(one.id));
  if (!went) return;
  await loadBackgrounds();
  setText(byId("upload-status"), `${one.name} is removed.`);
  document.querySelector<HTMLElement>('input[name="background"]:checked')?.focus();
}
