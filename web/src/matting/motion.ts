/** Where a stream moves: temporal.py's `_Motion`, number by number. */

import { BoxMean, resize } from "./planes";

const SHRINK = 2;
const STEP = 8;
const DRIFT = 12;
const NOISE = 5;
const MOTION = 2.5;
export const REACH = 18;
const FORGET = 0.25;
const LIGHT = 0.3;
export const ONE = 64; // in maps of change: just changed

/** By change, the part of the way up to the new alpha. */
export const RISE = Float32Array.from({ length: 256 }, (_, level) =>
  level >= ONE ? Math.min(1, Math.max(0, level / ONE - 0.5)) : 0,
);

export class Motion {
  readonly change: Float32Array; // (height, width): ONE and above where the picture is not what it was
  readonly near: Float32Array; // (height, width): 255 where something moves or has just moved close by
  private readonly small: { width: number; height: number };
  private now: Uint8ClampedArray;
  private before: Uint8ClampedArray;
  private readonly known: Float32Array;
  private readonly step: Uint8ClampedArray;
  private readonly changed: Float32Array; // these three in whole levels
  private readonly nearby: Float32Array;
  private readonly moving: Float32Array;
  private readonly around: Float32Array;
  private readonly mean: BoxMean;
  private readonly counts = new Int32Array(256);
  private noise = 0;

  constructor(
    private readonly width: number,
    private readonly height: number,
  ) {
    this.small = { width: Math.max(1, width >> 1), height: Math.max(1, height >> 1) };
    const size = this.small.width * this.small.height;
    this.change = new Float32Array(width * height);
    this.near = new Float32Array(width * height);
    this.now = new Uint8ClampedArray(3 * size);
    this.before = new Uint8ClampedArray(3 * size);
    this.known = new Float32Array(3 * size);
    this.step = new Uint8ClampedArray(size);
    this.changed = new Float32Array(size);
    this.nearby = new Float32Array(size);
    this.moving = new Float32Array(size);
    this.around = new Float32Array(size);
    this.mean = new BoxMean(this.small.width, this.small.height, REACH / SHRINK, false);
  }

  /** Begin with this picture, all of whose surroundings are in doubt. */
  start(picture: Uint8Array, stride: number): void {
    this.shrink(picture, stride);
    this.before.set(this.now);
    this.known.set(this.now);
    this.nearby.fill(255);
    this.noise = 0;
  }

  /** Compare the next picture, `passed` seconds later; the share of it that moves clearly. */
  look(picture: Uint8Array, stride: number, passed: number): number {
    this.shrink(picture, stride);
    const levels = Math.min(2, Math.max(1, (NOISE * this.noise) / STEP));
    const moved = this.compare(levels);
    this.followNoise();
    this.spread(passed);
    this.remember(passed);
    [this.before, this.now] = [this.now, this.before];
    const { width, height } = this.small;
    resize(this.changed, width, height, this.change, this.width, this.height);
    resize(this.nearby, width, height, this.near, this.width, this.height);
    return moved / this.moving.length;
  }

  private shrink(picture: Uint8Array, stride: number): void {
    const { width, height } = this.small;
    const right = this.width > 1 ? 3 : 0;
    const below = this.height > 1 ? 3 * stride : 0;
    for (let y = 0, place = 0; y < height; y++) {
      let at = 3 * SHRINK * y * stride;
      for (let x = 0; x < width; x++, at += 3 * SHRINK) {
        for (let channel = at; channel < at + 3; channel++) {
          const sum = picture[channel]! + picture[channel + right]! + picture[channel + below]! + picture[channel + right + below]!;
          this.now[place++] = sum / 4;
        }
      }
    }
  }

  /** `step`, `changed` and `moving`; how many pixels move clearly. */
  private compare(levels: number): number {
    const { now, before, known, step, changed, moving } = this;
    const threshold = MOTION * STEP * levels;
    let count = 0;
    for (let place = 0, at = 0; place < step.length; place++, at += 3) {
      let worst = 0;
      let drift = 0;
      for (let channel = at; channel < at + 3; channel++) {
        const moved = Math.abs(now[channel]! - before[channel]!);
        const drifted = Math.abs(now[channel]! - Math.round(known[channel]!));
        if (moved > worst) worst = moved;
        if (drifted > drift) drift = drifted;
      }
      step[place] = worst;
      changed[place] = Math.min(255, Math.round(Math.max((drift * ONE) / (DRIFT * levels), (worst * ONE) / (STEP * levels))));
      const moves = worst > threshold;
      moving[place] = moves ? 255 : 0;
      if (moves) count++;
    }
    return count;
  }

  /** Most of a picture stands still, so the median difference is noise; that of a moving camera is bounded. */
  private followNoise(): void {
    const { counts, step } = this;
    counts.fill(0);
    for (let place = 0; place < step.length; place++) counts[step[place]!]!++;
    let level = 0;
    for (let sum = counts[0]!; sum < step.length / 2; sum += counts[level]!) level++;
    this.noise += 0.1 * (Math.min(level, (2 * STEP) / NOISE) - this.noise);
  }

  /** Motion makes its surroundings doubtful, for a while. */
  private spread(passed: number): void {
    const fade = Math.exp(-passed / FORGET);
    this.mean.apply(this.moving, this.around);
    for (let place = 0; place < this.nearby.length; place++) {
      const share = 3 * (Math.round(this.around[place]!) - 0.05 * 255);
      this.nearby[place] = Math.max(Math.round(this.nearby[place]! * fade), Math.min(255, Math.floor(Math.max(0, share))));
    }
  }

  /** Take over the colours of what has changed, and slowly those of the rest. */
  private remember(passed: number): void {
    const { now, known, changed } = this;
    const least = -Math.expm1(-passed / LIGHT);
    for (let place = 0, at = 0; place < changed.length; place++, at += 3) {
      const rate = Math.max(RISE[changed[place]!]!, least);
      for (let channel = at; channel < at + 3; channel++) known[channel]! += (now[channel]! - known[channel]!) * rate;
    }
  }
}
