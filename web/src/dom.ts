/** The few things done to the page's elements everywhere. */

/** The element of this id, which index.html has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found as T;
}

/** A new element with properties, and children or text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Change a text only where it differs: a screen reader speaks what is written anew. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** An error of the last action, until it is dismissed or another action begins; "" takes it away. */
export function setTrouble(text: string): void {
  setText(byId("trouble-text"), text);
  byId("trouble").hidden = text === "";
}

/** Do what a control asks for; what goes wrong is shown. Whether it went well. */
export async function attempt(action: () => Promise<unknown>): Promise<boolean> {
  setTrouble("");
  try {
    await action();
  } catch (error) {
    setTrouble(error instanceof Error ? error.message : String(error));
    return false;
  }
  return true;
}
