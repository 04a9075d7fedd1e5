/** What is done with the replaced picture: recordings as WebM, picture in picture, before and after. */

import { byId, make, setText, setTrouble } from "../dom";
import { removeButton } from "../tiles";

const KINDS = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

let stream: (() => MediaStream) | null = null;
let recorder: MediaRecorder | null = null;
let floating: HTMLVideoElement | null = null;
let raw: HTMLVideoElement | null = null;
const unsaved = new Set<HTMLAnchorElement>(); // recordings, which are in this page alone

export function setUpTakes(): void {
  byId("record").onclick = () => (recorder === null ? record() : recorder.stop());
  byId<HTMLButtonElement>("float").onclick = () => void float();
  byId("float").hidden = !document.pictureInPictureEnabled;
  byId("compare").onchange = drawComparison;
  byId("compare-place").oninput = drawComparison;
  addEventListener("beforeunload", (event) => {
    if (recorder !== null || unsaved.size > 0) event.preventDefault(); // the browser asks whether to leave
  });
}

/** A picture runs; `output` gives it as a stream, `before` shows the camera as it is. */
export function begin(output: () => MediaStream, before: HTMLVideoElement): void {
  stream = output;
  raw = before;
  byId("under").hidden = false;
  drawComparison();
}

/** It runs no longer; a recording ends with it. */
export function end(): void {
  recorder?.stop();
  void floating?.ownerDocument.exitPictureInPicture().catch(() => undefined);
  floating = null;
  stream = null;
  raw?.remove();
  raw = null;
  byId("under").hidden = true;
}

function record(): void {
  if (stream === null) return;
  const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
  if (mimeType === undefined) return setTrouble("This browser records no WebM: use Chrome, Edge or Firefox.");
  try {
    recorder = recorderOf(stream(), mimeType);
    recorder.start(1000);
  } catch (error) {
    recorder = null;
    setTrouble(`It cannot be recorded: ${error instanceof Error ? error.message : String(error)}`);
  }
  drawRecording();
}

function recorderOf(output: MediaStream, mimeType: string): MediaRecorder {
  const parts: Blob[] = [];
  const begun = new Date();
  const made = new MediaRecorder(output, { mimeType });
  made.ondataavailable = ({ data }) => parts.push(data);
  made.onerror = () => setTrouble("The recording ended early; what there is of it stands in the list.");
  made.onstop = () => {
    recorder = null;
    drawRecording();
    const film = new Blob(parts, { type: "video/webm" });
    if (film.size > 0) list(film, begun);
    else setTrouble("Nothing was recorded: no picture came in that time.");
  };
  return made;
}

function drawRecording(): void {
  const button = byId("record");
  button.classList.toggle("recording", recorder !== null);
  setText(button, recorder === null ? "Record" : "Stop recording");
}

function list(film: Blob, begun: Date): void {
  const name = `figureground ${begun.toISOString().slice(0, 19).replaceAll(":", ".")}.webm`;
  const link = make("a", { href: URL.createObjectURL(film), download: name }, `Save ${name}`);
  const line = make("li", {}, link, make("span", {}, `${(film.size / 1e6).toFixed(1)} MB`));
  unsaved.add(link);
  link.onclick = () => unsaved.delete(link);
  line.append(
    removeButton(name, () => {
      URL.revokeObjectURL(link.href);
      unsaved.delete(link);
      line.remove();
      byId("recordings").focus();
    }),
  );
  byId("recordings").append(line);
}

async function float(): Promise<void> {
  if (stream === null) return;
  if (document.pictureInPictureElement !== null) return document.exitPictureInPicture();
  try {
    floating ??= make("video", { muted: true, playsInline: true });
    floating.srcObject ??= stream();
    await floating.play();
    await floating.requestPictureInPicture();
  } catch (error) {
    setTrouble(`Picture in picture does not open: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The camera as it is on the left, up to the slider's place: on this page only, never in what the stream carries. */
export function drawComparison(): void {
  const isOn = byId<HTMLInputElement>("compare").checked && raw !== null;
  byId("compare-field").hidden = !isOn;
  if (raw === null) return;
  if (!isOn) return raw.remove();
  const place = Number(byId<HTMLInputElement>("compare-place").value);
  const isMirrored = byId("screen").classList.contains("mirrored");
  raw.style.clipPath = isMirrored ? `inset(0 0 0 ${100 - place}%)` : `inset(0 ${100 - place}% 0 0)`;
  if (!raw.isConnected) byId("screen").append(raw);
  void raw.play().catch(() => undefined); // out of the page it stood still
}
