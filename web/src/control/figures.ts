/** The live figures, the bars of the stages and what the governor decided. */

import type { State } from "./api";
import { byId, make, setText } from "./dom";

const STAGES: Record<string, string> = {
  wait: "Wait for the camera",
  resize: "Resize",
  infer: "Find the person",
  stabilise: "Stabilise",
  refine: "Refine edges",
  background: "Background",
  composite: "Put together",
  send: "Send",
};

const FIGURES: [string, (state: State) => string][] = [
  ["Frames per second", (s) => `${s.output.fps.toFixed(1)} of ${s.settings.fps}`],
  ["Latency, median", (s) => `${s.latency_ms.p50.toFixed(1)} ms`],
  ["Latency, 95 % are below", (s) => `${s.latency_ms.p95.toFixed(1)} ms`],
  ["Processor", (s) => `${Math.round(s.cpu * 100)} % of a core`],
  ["Memory", (s) => `${Math.round(s.memory_mb)} MB`],
  ["Camera", (s) => (s.camera.width > 0 ? `${s.camera.width} × ${s.camera.height}, ${s.camera.rate.toFixed(0)}/s` : "–")],
  ["Camera frames not used", (s) => s.camera.dropped.toLocaleString("en")],
  ["Pictures sent, covered by faults", (s) => `${s.frames.toLocaleString("en")}, ${s.covered.toLocaleString("en")}`],
];
const UNHURRIED = 1000; // ms: figures that change four times a second cannot be read
let next = 0;

export function showFigures(state: State): void {
  showGovernor(state);
  if (performance.now() < next) return;
  next = performance.now() + UNHURRIED;
  const list = byId("figures");
  if (list.childElementCount === 0) {
    for (const [name] of FIGURES) list.append(make("div", {}, make("dt", {}, name), make("dd")));
  }
  const values = list.querySelectorAll("dd");
  FIGURES.forEach(([, value], place) => setText(values[place] as HTMLElement, value(state)));
  showStages(state.stages_ms);
}

function showStages(stages: Record<string, number>): void {
  const list = byId("stages");
  const names = Object.keys(stages);
  if (list.dataset["names"] !== names.join()) {
    list.dataset["names"] = names.join();
    list.replaceChildren(...names.map((name) => stage(STAGES[name] ?? name)));
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

function showGovernor({ governor }: State): void {
  setText(byId("governor-level"), `Now: ${governor.level}`);
  const list = byId("decisions");
  const key = JSON.stringify(governor.decisions);
  if (list.dataset["key"] === key) return;
  list.dataset["key"] = key;
  const lines = [...governor.decisions]
    .reverse()
    .map((one) => make("li", {}, make("time", {}, one.at), make("span", {}, make("b", {}, `${one.level}:`), ` ${one.reason}`)));
  list.replaceChildren(...(lines.length > 0 ? lines : [make("li", { className: "quiet" }, "Nothing to decide so far.")]));
}
