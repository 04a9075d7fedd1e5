/** The live figures and the bars of the stages, as both modes show them. */

import { byId, make, setText } from "./dom";

/** Names and values, in an order that stays. */
export function drawFigures(figures: readonly (readonly [string, string])[]): void {
  const list = byId("figures");
  if (list.childElementCount === 0) {
    for (const [name] of figures) list.append(make("div", {}, make("dt", {}, name), make("dd")));
  }
  const values = list.querySelectorAll("dd");
  figures.forEach(([, value], place) => setText(values[place] as HTMLElement, value));
}

/** Milliseconds by stage; `words` says what a stage is called. */
export function drawStages(stages: Readonly<Record<string, number>>, words: Readonly<Record<string, string>>): void {
  const list = byId("stages");
  const names = Object.keys(stages);
  if (list.dataset["names"] !== names.join()) {
    list.dataset["names"] = names.join();
    list.replaceChildren(...names.map((name) => stage(words[name] ?? name)));
  }
  const largest = Math.max(1, ...Object.values(stages));
  names.forEach((name, place) => {
    const item = list.children[place] as HTMLElement;
    const milliseconds = stages[name] ?? 0;
    setText(item.querySelector("b") as HTMLElement, `${milliseconds.toFixed(1)} ms`);
    (item.querySelector("i") as HTMLElement).style.width = `${(100 * milliseconds) / largest}%`;
  });
}

function stage(name: string): HTMLElement {
  const bar = make("span", { className: "bar", ariaHidden: "true" }, make("i"));
  return make("li", {}, make("span", {}, name), bar, make("b"));
}
