/** The mode in which the page's own camera is used: puts the parts together. */

import { drawFigures, drawStages } from "../bars";
import { byId, make, setText, setTrouble } from "../dom";
import { createBackgroundStream, type BackgroundStream, type Health, type Light } from "../module";
import { background, setUpBackgrounds } from "./backgrounds";
import { ENDED, explainCamera, explainFault, explainSample, type Explained } from "./faults";
import { setUpPhoto } from "./photo";
import { openCamera, openSample, type Opened } from "./source";
import { change, settings } from "./store";
import { begin, drawComparison, end, setUpTakes } from "./takes";

const WORDS: Record<Light, string> = { live: "Live", covered: "Covered", stopped: "Stopped" };
const MEANINGS: Record<Light, string> = {
  live: "You are seen before your background.",
  covered: "Only the background is seen.",
  stopped: "The camera is off.",
};
const SIGNS: Record<Light, string> = { live: "●", covered: "◆", stopped: "■" };
const STAGES = { read: "Read and resize", infer: "Find the person", steady: "Stabilise", composite: "Refine and put together", whole: "Whole frame" };
const UNHURRIED = 1000; // ms

let opened: Opened | null = null;
let running: BackgroundStream | null = null;
let hidden = false; // covered by hand, until the user ends that or the camera; another camera does not
let next = 0;
let begun = 0; // starts and stops so far: what an earlier start is given too late is let go of, not run beside
let again: () => Promise<Opened> = openCamera;

async function start(open: () => Promise<Opened>): Promise<void> {
  stop();
  const mine = begun;
  again = open;
  showFault(null);
  setText(byId("screen-note"), "Waiting for the camera …");
  let found: Opened;
  try {
    found = await open();
  } catch (error) {
    return mine === begun ? fail((open === openSample ? explainSample : explainCamera)(error)) : undefined;
  }
  if (mine !== begun) return found.close();
  try {
    run(found);
  } catch (error) {
    fail(explainFault("canvas", String(error)));
  }
}

function run(found: Opened): void {
  opened = found;
  setText(byId("screen-note"), "Loading the model …");
  showLight("covered", "the model is loading");
  const canvas = make("canvas", { id: "picture" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Your picture before its new background");
  byId("screen").prepend(canvas);
  byId("light-buttons").hidden = byId("more").hidden = false;
  passFocus("welcome", "cover");
  byId("welcome").hidden = true;
  const stream = createBackgroundStream(found.reads, {
    canvas,
    background: background(),
    onHealth: showHealth,
    onFailed: (fault, detail) => fail(explainFault(fault, detail)),
    onEnded: () => fail(ENDED),
  });
  running = stream;
  cover(hidden);
  begin(() => stream.stream, found.raw);
  drawMirror();
}

function stop(): void {
  begun++;
  end();
  running?.stop();
  opened?.close();
  running = opened = null;
  document.getElementById("picture")?.remove();
  byId("welcome").hidden = false;
  passFocus("light-buttons", "use-camera");
  byId("screen").style.aspectRatio = "";
  byId("light-buttons").hidden = byId("more").hidden = true;
  setText(byId("screen-note"), "");
  setText(byId("output"), "");
  showLight("stopped", "");
}

/** Who works by keyboard goes on with what takes the place of what is hidden now, not from the top of the page. */
function passFocus(from: string, to: string): void {
  if (byId(from).contains(document.activeElement)) byId(to).focus();
}

function cover(on: boolean): void {
  hidden = on;
  running?.cover(on);
  setText(byId("cover"), on ? "Show me again" : "Cover me");
}

function fail(why: Explained): void {
  stop();
  showFault(why);
}

function showFault(why: Explained | null): void {
  if (why === null) passFocus("fault", "use-camera");
  byId("fault").hidden = why === null;
  setText(byId("fault-what"), why?.what ?? "");
  setText(byId("fault-help"), why?.help ?? "");
}

function showLight(light: Light, reason: string): void {
  byId("light").dataset["light"] = light;
  setText(byId("light-word"), WORDS[light]);
  const why = reason === "" || hidden ? "" : ` Why: ${reason}.`;
  setText(byId("light-reason"), MEANINGS[light] + why);
  document.title = `${SIGNS[light]} ${WORDS[light]} | Figureground`;
}

function showHealth(health: Health): void {
  if (running === null) return; // its last words
  showLight(health.light, health.reason);
  if (health.width > 0) byId("screen").style.aspectRatio = `${health.width} / ${health.height}`;
  if (health.compute !== "") setText(byId("screen-note"), "");
  if (performance.now() < next) return;
  next = performance.now() + UNHURRIED;
  setText(byId("output"), (opened?.name ?? "") + (health.width > 0 ? `, ${health.width} × ${health.height}` : ""));
  drawFigures([
    ["Frames per second", health.fps.toFixed(1)],
    ["Runs on", health.compute || "–"],
    ["Drawn with", health.renderer],
    ["Frames, of them covered", `${health.frames.toLocaleString("en")}, ${health.covered.toLocaleString("en")}`],
  ]);
  drawStages(health.stages, STAGES);
}

function drawMirror(): void {
  byId<HTMLInputElement>("mirror").checked = settings.mirror;
  byId("screen").classList.toggle("mirrored", settings.mirror && (opened?.isCamera ?? true));
  drawComparison();
}

function setUpControls(): void {
  byId("use-camera").onclick = () => void start(openCamera);
  byId("use-sample").onclick = () => void start(openSample);
  byId("fault-retry").onclick = () => void start(again);
  byId("stop").onclick = () => {
    stop();
    cover(false);
  };
  byId("cover").onclick = () => cover(!hidden);
  byId("mirror").onchange = () => {
    change({ mirror: byId<HTMLInputElement>("mirror").checked });
    drawMirror();
  };
  byId<HTMLSelectElement>("device").onchange = () => {
    change({ device: byId<HTMLSelectElement>("device").value });
    if (opened?.isCamera) void start(openCamera);
  };
}

byId("connection").dataset["state"] = "on";
setText(byId("connection"), "No frame leaves this page");
setTrouble("");
setUpControls();
setUpTakes();
setUpPhoto();
drawMirror();
showLight("stopped", "");
void setUpBackgrounds(async (next) => running?.setBackground(next));
byId("page").inert = false; // a press before all this would have been lost
