/**
 * Figureground as a module: the background of a video track replaced in the page, no frame leaves it.
 *
 *     import { createBackgroundStream } from "./figureground/module.js";
 *     const camera = await navigator.mediaDevices.getUserMedia({ video: true });
 *     const replaced = createBackgroundStream(camera.getVideoTracks()[0], { background: { kind: "blur" } });
 *     video.srcObject = replaced.stream;
 */

export { createBackgroundStream, BackgroundStream, type Options } from "./background-stream";
export { cutOut } from "./still";
export type { Background } from "./scenery";
export type { Fault, Health, Light, Stage } from "../worker/messages";
