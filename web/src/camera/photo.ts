/** A photograph's people as a transparent PNG. */

import { byId, setText } from "../dom";
import { cutOut } from "../module";
import { acceptDrops } from "../tiles";

export function setUpPhoto(): void {
  const input = byId<HTMLInputElement>("photo");
  input.onchange = () => void cut(input.files?.[0]).then(() => (input.value = ""));
  acceptDrops(byId("still"), ([file]) => void cut(file));
}

async function cut(file: File | undefined): Promise<void> {
  if (file === undefined) return;
  const status = byId("photo-status");
  byId("photo-result").hidden = true;
  setText(status, `Cutting out ${file.name} …`);
  try {
    const png = await cutOut(file);
    show(png, `${file.name.replace(/\.[^.]*$/, "")}-cutout.png`);
    setText(status, "Done.");
  } catch (error) {
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
