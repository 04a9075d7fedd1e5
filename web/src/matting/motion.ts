/** Where a stream moves: temporal.py's `_Motion`, step by step; its loops are in kernels/steady.ts. */

import type { Fit } from "./fit";
import type { Kernels, Placed } from "./kernels";

const STEP = 8; // as in steady.ts
const NOISE = 5;
const FORGET = 0.25;
const LIGHT = 0.3;

export class Motion {
  readonly change: number; // (height, width): ONE of steady.ts and above where the picture is not what it was
  readonly near: number; // (height, width): 255 where something moves or has just moved close by
  private readonly small: { width: number; height: number };
  private readonly picture: Placed<Uint8ClampedArray>; // as the network saw it
  private now: Placed<Uint8ClampedArray>; // and at half its size
  private before: Placed<Uint8ClampedArray>;
  private readonly known: Placed<Float32Array>;
  private readonly step: number; // bytes
  private readonly changed: number; // these three in whole levels
  private readonly moving: number;
  private readonly nearby: Placed<Float32Array>;
  private readonly means: number;
  private readonly work: number;
  private readonly counts: number;
  private readonly axes: { across: number; downward: number };
  private noise = 0;

  /** Bytes of memory it takes. */
  static bytes(fit: Fit): number {
    const small = Math.ceil(fit.width / 2) * Math.ceil(fit.height / 2) + 16;
    return 8 * (fit.width * fit.height + 16) + 3 * fit.inputWidth * fit.inputHeight + 40 * small + 12 * (fit.width + fit.height) + 2048;
  }

  constructor(
    private readonly kernels: Kernels,
    private readonly fit: Fit,
  ) {
    const small = (this.small = { width: Math.max(1, fit.width >> 1), height: Math.max(1, fit.height >> 1) });
    const size = small.width * small.height;
    const plane = (): Placed<Float32Array> => kernels.floats(size + 4); // the kernels may go beyond the last one
    this.change = kernels.floats(fit.width * fit.height + 4).at;
    this.near = kernels.floats(fit.width * fit.height + 4).at;
    this.picture = kernels.bytes(3 * fit.inputWidth * fit.inputHeight);
    this.now = kernels.bytes(3 * size);
    this.before = kernels.bytes(3 * size);
    this.known = kernels.floats(3 * size);
    this.step = kernels.bytes(size).at;
    this.changed = plane().at;
    this.moving = plane().at;
    this.nearby = plane();
    this.means = plane().at;
    this.work = plane().at;
    this.counts = kernels.ints(256).at;
    this.axes = { across: kernels.axis(small.width, fit.width), downward: kernels.axis(small.height, fit.height) };
  }

  /** Begin with this picture, all of whose surroundings are in doubt. */
  start(picture: Uint8Array): void {
    this.shrink(picture);
    this.before.view.set(this.now.view);
    this.known.view.set(this.now.view);
    this.nearby.view.fill(255);
    this.noise = 0;
  }

  /** Compare the next picture, `passed` seconds later; the share of it that moves clearly. */
  look(picture: Uint8Array, passed: number): number {
    const { now, before, known, step, changed, moving, means, nearby, small } = this;
    const { run } = this.kernels;
    const size = small.width * small.height;
    this.shrink(picture);
    const levels = Math.min(2, Math.max(1, (NOISE * this.noise) / STEP));
    const moved = run.compare(now.at, before.at, known.at, step, changed, moving, size, levels);
    // Most of a picture stands still, so the median difference is noise; that of a moving camera is bounded.
    this.noise += 0.1 * (Math.min(run.median(step, size, this.counts), (2 * STEP) / NOISE) - this.noise);
    run.around(moving, this.work, means, small.width, small.height);
    run.fade(means, nearby.at, size, Math.exp(-passed / FORGET));
    run.remember(now.at, known.at, changed, size, -Math.expm1(-passed / LIGHT));
    [this.before, this.now] = [now, before];
    this.enlarge(changed, this.change);
    this.enlarge(nearby.at, this.near);
    return moved / size;
  }

  private shrink(picture: Uint8Array): void {
    const { fit, small } = this;
    const stride = 3 * fit.inputWidth;
    this.picture.view.set(picture);
    const [right, below] = [fit.width > 1 ? 3 : 0, fit.height > 1 ? stride : 0];
    this.kernels.run.halve(this.picture.at, stride, right, below, this.now.at, small.width, small.height);
  }

  private enlarge(source: number, out: number): void {
    const { fit, small, axes, work } = this;
    this.kernels.run.enlarge(source, small.width, out, fit.width, fit.height, axes.across, axes.downward, work);
  }
}
