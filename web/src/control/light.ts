/** The privacy light with its two buttons, faults with their remedy, and the title of the tab. */

import { cover, start, stop, type Light, type State } from "./api";
import { attempt, byId, make, setText } from "../dom";

const WORDS: Record<Light, string> = { live: "Live", covered: "Covered", stopped: "Stopped" };
const MEANINGS: Record<Light, string> = {
  live: "You are seen before your background.",
  covered: "Only the background is seen.",
  stopped: "The camera is off.",
};
const SIGNS: Record<Light, string> = { live: "●", covered: "◆", stopped: "■" };

let now: State | null = null;

export function setUpLight(onState: (state: State) => void): void {
  const coverButton = byId<HTMLButtonElement>("cover");
  const startStop = byId<HTMLButtonElement>("start-stop");
  coverButton.onclick = () => attempt(async () => onState(await cover(!(now?.hidden ?? false))));
  startStop.onclick = () => attempt(async () => onState(await (now?.light === "stopped" ? start() : stop())));
}

export function showLight(state: State): void {
  now = state;
  const byHand = state.hidden;
  byId("light").dataset["light"] = state.light;
  setText(byId("light-word"), WORDS[state.light]);
  const isNew = state.reason !== "" && state.reason !== state.light && state.remedy === ""; // else the alert says it
  const told = state.light === "live" ? `But ${state.reason}.` : `Why: ${state.reason}.`;
  setText(byId("light-reason"), isNew ? `${MEANINGS[state.light]} ${told}` : MEANINGS[state.light]);
  document.title = `${SIGNS[state.light]} ${WORDS[state.light]} | Figureground`;
  const coverButton = byId<HTMLButtonElement>("cover");
  coverButton.classList.toggle("primary", !byHand);
  setText(coverButton, byHand ? "Show me again" : "Cover me");
  coverButton.disabled = state.light === "stopped";
  setText(byId("start-stop"), state.light === "stopped" ? "Start the camera" : "Stop the camera");
  showFault(state.remedy ? state : null);
}

/** While the server cannot be heard, nothing is known: the light says so instead of showing its last colour. */
export function showUnknown(): void {
  delete byId("light").dataset["light"];
  setText(byId("light-word"), "Unknown");
  setText(byId("light-reason"), "This page has lost figureground and does not know what is sent.");
  document.title = "? | Figureground";
  showFault(null);
}

function showFault(state: State | null): void {
  const box = byId("fault");
  const key = state === null ? "" : `${state.reason}\n${state.remedy}`;
  if (box.dataset["key"] === key) return; // written anew, it would be read out anew
  box.dataset["key"] = key;
  box.hidden = state === null;
  box.replaceChildren(
    ...(state === null
      ? []
      : [make("p", { className: "strong" }, sentence(state.reason)), make("p", {}, `What helps: ${sentence(state.remedy)}`)]),
  );
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
