/** A photograph's people as a transparent PNG. */

import { byId, setText } from "../dom";
import { cutOut } from "../module";
import { acceptDrops } from "../tiles";

let wishes = 0; // of photos only the last one is shown, however long an earlier one takes

export function setUpPhoto(): void {
  const input = byId<HTMLInputElement>("photo");
  input.onchange = () => void cut(input.files?.[0]).then(() => (input.value = ""));
  acceptDrops(byId("still"), ([file, ...others]) => void cut(file, others.length));
}

async function cut(file: File | undefined, others = 0): Promise<void> {
  if (file === undefined) return;
  const wish = ++wishes;
  const status = byId("photo-status");
  byId("photo-result").hidden = true;
  setText(status, `Cutting out ${file.name} …`);
  try {
    const png = await cutOut(file);
    if (wish !== wishes) return;
    show(png, `${file.name.replace(/\.[^.]*$/, "")}-cutout.png`);
    setText(status, others === 0 ? "Done." : `Done: ${file.name} alone, for it is one photo at a time.`);
  } catch (error) {
    if (wish !== wishes) return;
    const why = error instanceof DOMException ? "not a picture this browser can read" : error instanceof Error ? error.message : String(error);
    setText(status, `${file.name}: ${why}`);
  }
}

function show(png: Blob, name: string): void {
  const picture = byId<HTMLImageElement>("photo-picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(png);
  const link = byId<HTMLAnchorElement>("photo-save");
  link.href = picture.src;
  link.download = name;
  byId("photo-result").hidden = false;
}
