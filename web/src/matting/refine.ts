/** refine.py's fast guided filter: its sizes, its times, and its lines; edges.ts and the shaders apply them. */

import { roundHalfEven } from "./fit";
import { Kernels, type Placed } from "./kernels";

const SCALE = 2;
// These three as in kernels/follow.ts.
export const CHANGED = 8;
export const JUMP = 0.3;
export const IDLE = 0.4;
const RISE = 0.7;
const FALL = 0.05;
const GAP = 0.5;

/** The size at which edges are looked for: about SCALE times the alpha's, or the frame's own. */
export interface Fine {
  readonly times: number; // the frame's pixels a side that one of its pixels stands for
  readonly width: number;
  readonly height: number;
}

export function fineOf(frameWidth: number, frameHeight: number, width: number): Fine {
  const times = Math.max(1, roundHalfEven(frameWidth / (SCALE * width)));
  return { times, width: Math.floor(frameWidth / times), height: Math.floor(frameHeight / times) };
}

/** The parts of the way up and down that a still pixel goes in the time since the last frame; for a new stream none. */
export interface Pace {
  readonly up: number;
  readonly down: number;
  readonly isNew: boolean;
}

export function paceOf(passed: number): Pace {
  if (!(passed > 0 && passed <= GAP)) return { up: 0, down: 0, isNew: true };
  return { up: -Math.expm1(-passed / RISE), down: -Math.expm1(-passed / FALL), isNew: false };
}

/** Alpha as a linear function of brightness near every pixel: `slope` and `offset`, (height, width), stretched. */
export class GuidedFit {
  readonly slope: Placed<Float32Array>;
  readonly offset: Placed<Float32Array>;
  readonly guide: Placed<Float32Array>; // brightness in [0, 1]
  readonly alpha: Placed<Float32Array>;
  private readonly work: Placed<Float32Array>;

  /** Bytes of memory it takes for each pixel. */
  static readonly BYTES = 32;

  /** For pictures of at most so many pixels. */
  constructor(
    private readonly kernels: Kernels,
    size: number,
  ) {
    this.slope = kernels.floats(size);
    this.offset = kernels.floats(size);
    this.guide = kernels.floats(size);
    this.alpha = kernels.floats(size);
    this.work = kernels.floats(4 * size);
  }

  /** Of `guide` and `alpha`, whose first pixels are a picture of this size. */
  apply(width: number, height: number): void {
    this.kernels.run.fit(this.guide.at, this.alpha.at, this.work.at, this.slope.at, this.offset.at, width, height);
  }
}
