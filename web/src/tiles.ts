/** Tiles to choose one background from: radio buttons with a picture. */

import { make } from "./dom";

export function tile(value: string, name: string, art: HTMLElement, choose: () => void): HTMLElement {
  const radio = make("input", { type: "radio", name: "background", id: `tile-${value}`, value });
  radio.onchange = choose;
  const caption = make("span", { className: "caption", title: name }, name);
  return make("div", { className: "tile" }, radio, make("label", { htmlFor: radio.id }, art, caption));
}

export function removeButton(name: string, remove: () => void): HTMLElement {
  const button = make("button", { type: "button", className: "remove", title: `Remove ${name}` }, "×");
  button.setAttribute("aria-label", `Remove ${name}`);
  button.onclick = remove;
  return button;
}

export function mark(current: string): void {
  for (const radio of document.querySelectorAll<HTMLInputElement>('input[name="background"]')) {
    radio.checked = radio.value === current;
  }
}

/** Files dropped on an element; elsewhere they are refused, else the browser would open them in place of the page. */
export function acceptDrops(element: HTMLElement, take: (files: File[]) => void): void {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => event.preventDefault());
  element.addEventListener("dragover", () => element.classList.add("over"));
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget as Node | null)) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    element.classList.remove("over");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) take(files);
  });
}
