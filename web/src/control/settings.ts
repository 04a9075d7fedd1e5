/** Every setting but the background: one line a control, and what keeps them and the server's state the same. */

import { change, type Settings, type State } from "./api";
import { attempt, byId, make } from "../dom";

type Choice = [value: string, words: string];
type Show = (state: State) => void;

const LATE = 300; // ms after the server's answer in which a state from before may still arrive
const held = new Map<string, number>(); // how many wishes for a setting are on their way
const shows: Show[] = [];

/** Whether the state's value of a setting may be shown: not while a newer wish is on its way. */
export function isFree(name: keyof Settings): boolean {
  return (held.get(name) ?? 0) === 0;
}

function hold(changes: Partial<Settings>, by: 1 | -1): void {
  for (const name of Object.keys(changes)) held.set(name, (held.get(name) ?? 0) + by);
}

/** Change a setting on the server; if it is refused, the control goes back to what holds. */
export async function wish(changes: Partial<Settings>): Promise<void> {
  hold(changes, 1);
  const went = await attempt(() => change(changes));
  if (went) setTimeout(() => hold(changes, -1), LATE);
  else hold(changes, -1);
}

export function setUpSettings(): void {
  const picture = byId("picture");
  picture.append(
    choice("camera", "Camera", cameras),
    choice("people", "Who is shown", () => [
      ["everyone", "Everyone"],
      ["largest", "The largest person"],
      ["centre", "The person nearest the centre"],
    ]),
    choice("fit", "Fit", () => [
      ["cover", "Fill the frame, cut the edges"],
      ["contain", "Whole picture, with borders"],
    ]),
    toggle("mirror", "Mirror", "As in a mirror: writing is the wrong way round."),
    toggle("overlay", "Overlay", "The one named on the command line, such as a name tag."),
    toggle("show_mask", "Show the mask", "Tints what is taken for a person. Others see it too."),
  );
  byId("quality").append(
    choice("model", "Model", (state) => state.models.map((name) => [name, name === "given" ? "As started" : name])),
    choice("fps", "Frames per second", (state) =>
      withCurrent(["10", "15", "20", "24", "25", "30", "50", "60"], String(state.settings.fps)).map((n) => [n, n]),
    ),
    choice("cpu", "Processor limit", (state) =>
      withCurrent(["", "0.1", "0.2", "0.3", "0.5", "0.75", "1"], String(state.settings.cpu ?? "")).map((share) => [
        share,
        share === "" ? "No limit" : `${Math.round(Number(share) * 100)} % of a core`,
      ]),
    ),
    toggle("refine", "Refine edges", "Finer hair and fingers."),
    toggle("stabilise", "Stabilise", "Calmer edges from frame to frame."),
    toggle("look_ahead", "Look ahead", "Better edges, one frame later."),
  );
}

export function showSettings(state: State): void {
  for (const show of shows) show(state);
}

function cameras(state: State): Choice[] {
  const known: Choice[] = state.cameras.map((camera) => [camera.device, camera.name]);
  const own = state.settings.camera === "given" && state.camera.name ? `: ${state.camera.name}` : "";
  return [["given", `As started${own}`], ...known];
}

function withCurrent(choices: string[], current: string): string[] {
  return choices.includes(current) ? choices : [...choices, current];
}

function choice(name: keyof Settings, words: string, choices: (state: State) => Choice[]): HTMLElement {
  const select = make("select", { id: `set-${name}` });
  select.onchange = () => wish({ [name]: fromText(name, select.value) });
  shows.push((state) => {
    const offered = choices(state);
    const key = JSON.stringify(offered);
    if (select.dataset["key"] !== key) {
      const before = select.value;
      select.dataset["key"] = key;
      select.replaceChildren(...offered.map(([value, text]) => make("option", { value }, text)));
      select.value = before;
    }
    if (isFree(name)) select.value = String(state.settings[name] ?? "");
  });
  return make("div", { className: "field" }, make("label", { htmlFor: select.id }, words), select);
}

function fromText(name: keyof Settings, text: string): string | number | null {
  if (name !== "fps" && name !== "cpu") return text;
  return text === "" ? null : Number(text);
}

function toggle(name: keyof Settings, words: string, explained: string): HTMLElement {
  const box = make("input", { type: "checkbox", id: `set-${name}`, className: "switch" });
  box.setAttribute("role", "switch");
  const help = make("span", { className: "quiet", id: `help-${name}` }, explained);
  box.setAttribute("aria-describedby", help.id);
  box.onchange = () => wish({ [name]: name === "overlay" ? (box.checked ? "given" : "") : box.checked });
  const line = make("div", { className: "toggle" }, make("label", { htmlFor: box.id }, words), help, box);
  shows.push((state) => {
    if (name === "overlay") line.hidden = !state.can_overlay;
    if (isFree(name)) box.checked = Boolean(state.settings[name]);
  });
  return line;
}

