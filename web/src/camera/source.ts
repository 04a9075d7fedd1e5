/** Where pictures come from: a camera, or the sample clip. */

import { byId, make } from "../dom";
import { settings } from "./store";

/** What is shown untouched beside the result, to the user alone, and what the stream reads. */
export interface Opened {
  readonly reads: MediaStreamTrack | HTMLVideoElement;
  readonly raw: HTMLVideoElement;
  readonly name: string;
  readonly isCamera: boolean;
  close(): void;
}

export async function openCamera(): Promise<Opened> {
  const wish = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const device = settings.device === "" ? {} : { deviceId: { ideal: settings.device } };
  const camera = await navigator.mediaDevices.getUserMedia({ video: { ...wish, ...device } });
  const track = camera.getVideoTracks()[0];
  if (track === undefined) throw new DOMException("it has no picture", "NotFoundError");
  const raw = quietVideo();
  raw.srcObject = camera;
  void listDevices();
  navigator.mediaDevices.ondevicechange = () => void listDevices();
  return { reads: track, raw, name: track.label, isCamera: true, close: () => track.stop() };
}

export async function openSample(): Promise<Opened> {
  const raw = quietVideo();
  raw.loop = true;
  raw.src = new URL(FILES.sample, document.baseURI).href;
  await raw.play();
  return { reads: raw, raw, name: "Sample clip", isCamera: false, close: () => raw.pause() };
}

function quietVideo(): HTMLVideoElement {
  return make("video", { className: "raw", muted: true, playsInline: true });
}

/** The browser tells the cameras' names only once one may be used. */
async function listDevices(): Promise<void> {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput" && one.deviceId !== "");
  const select = byId<HTMLSelectElement>("device");
  select.replaceChildren(
    make("option", { value: "" }, "The usual one"),
    ...cameras.map((one, place) => make("option", { value: one.deviceId }, one.label || `Camera ${place + 1}`)),
  );
  select.value = cameras.some((one) => one.deviceId === settings.device) ? settings.device : "";
}
