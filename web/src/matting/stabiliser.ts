/** A steady alpha for a stream: temporal.py's `Stabiliser`, whose docstrings say why it is so; its loops are in kernels/steady.ts. */

import type { Fit } from "./fit";
import type { Kernels, Placed } from "./kernels";
import { Motion } from "./motion";

const PATIENCE = 1.5;
const LETTING_GO = 0.1;
const FADE = 0.3;
const CUT = 0.5;
const GAP = 0.5;
const TIMES = 2;

export class Stabiliser {
  private readonly motion: Motion;
  private readonly kept: Placed<Float32Array>;
  private readonly evidence: Placed<Float32Array>;
  private readonly means: number;
  private readonly work: number;
  private readonly size: number;
  private time = -Infinity;
  private contradictions = 0;

  /** Bytes of memory it takes. */
  static bytes(fit: Fit): number {
    return 16 * (fit.width * fit.height + 16) + Motion.bytes(fit);
  }

  /** `alpha`, (height, width), is where new ones come and steady ones are left. */
  constructor(
    private readonly kernels: Kernels,
    private readonly fit: Fit,
    private readonly alpha: Placed<Float32Array>,
  ) {
    this.size = fit.width * fit.height;
    this.motion = new Motion(kernels, fit);
    this.kept = kernels.floats(this.size + 4); // the kernels take four at a time, and may go beyond the last one
    this.evidence = kernels.floats(this.size + 4);
    this.means = kernels.floats(this.size + 4).at;
    this.work = kernels.floats(this.size + 4).at;
  }

  /** Forget the stream: the next alpha passes as it is. */
  reset(): void {
    this.time = -Infinity;
  }

  /** Take the next frame: `picture`, RGB, (inputHeight, inputWidth), as the network saw it; `time` in seconds. */
  apply(picture: Uint8Array, time: number): void {
    const passed = time - this.time;
    this.time = time;
    const isNew = !(passed > 0 && passed <= GAP);
    if (isNew || this.motion.look(picture, passed) > CUT || this.contradicted()) {
      this.motion.start(picture);
      this.kept.view.set(this.alpha.view);
      this.evidence.view.set(this.alpha.view);
      this.contradictions = 0;
    } else {
      this.blend(passed);
    }
  }

  private contradicted(): boolean {
    const differs = this.kernels.run.differ(this.alpha.at, this.kept.at, this.size) !== 0;
    this.contradictions = differs ? this.contradictions + 1 : 0;
    return this.contradictions >= TIMES;
  }

  private blend(passed: number): void {
    const { alpha, kept, evidence, means, work, motion, size, fit } = this;
    const { run } = this.kernels;
    const parts = [PATIENCE, LETTING_GO, FADE].map((seconds) => -Math.expm1(-passed / seconds));
    run.around(alpha.at, work, means, fit.width, fit.height);
    run.blend(alpha.at, kept.at, evidence.at, means, motion.change, motion.near, size, ...parts);
  }
}
