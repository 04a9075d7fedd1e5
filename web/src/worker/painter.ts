/** What draws: two of them, with the graphics card and without. */

import type { Fit } from "../matting/fit";
import type { Scenery } from "./messages";

export type Frame = VideoFrame | ImageBitmap;

/**
 * Holds one frame at a time and draws its person, by an alpha computed from that very frame, before a scenery.
 *
 * The order for each frame: `load`, `input`, `paint`. Nothing of a frame is drawn by anything but `paint`.
 */
export interface Painter {
  readonly words: string;
  /** Set before the first `load`. */
  kernels: WebAssembly.Module | null;
  /** For frames of this size from now on. */
  resize(fit: Fit): void;
  load(frame: Frame): Promise<void>;
  /** What the network is to see of the frame, into `out`: RGB, (inputHeight, inputWidth). */
  input(out: Uint8Array): void;
  /** `input` and `alpha`: of this frame, (height, width); `time` in seconds. */
  paint(input: Uint8Array, alpha: Float32Array, time: number, scenery: Scenery): void;
  /** Only the scenery. */
  cover(scenery: Scenery): void;
  /** Forget the frames before. */
  reset(): void;
}

export const CARD = "#202226"; // shown where not even a background is known yet

export function sizeOf(frame: Frame): [width: number, height: number] {
  return "displayWidth" in frame ? [frame.displayWidth, frame.displayHeight] : [frame.width, frame.height];
}

/** The part of a picture that is seen when it covers `width` x `height`, its middle kept. */
export function covering(picture: { width: number; height: number }, width: number, height: number): [x: number, y: number, w: number, h: number] {
  const scale = Math.max(width / picture.width, height / picture.height);
  const [across, down] = [width / scale, height / scale];
  return [(picture.width - across) / 2, (picture.height - down) / 2, across, down];
}
