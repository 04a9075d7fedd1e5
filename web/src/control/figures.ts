/** The live figures, the bars of the stages and what the governor decided. */

import type { State } from "./api";
import { drawFigures, drawStages } from "../bars";
import { byId, make, setText } from "../dom";

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
  drawFigures(FIGURES.map(([name, value]) => [name, value(state)]));
  drawStages(state.stages_ms, STAGES);
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
