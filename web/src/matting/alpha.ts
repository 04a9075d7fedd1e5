/** From what the network says to an alpha: made crisp, judged, tidied (preprocess.py and live/plausible.py). */

import type { Fit } from "./fit";
import type { Kernels, Placed } from "./kernels";

const FULL = 0.98; // of the picture: under such a mask there is nothing left to hide
const SUDDEN = 0.9; // a mask that jumps beyond this from one picture to the next ...
const BEFORE = 0.7; // ... and was below this is not believed until it is below SUDDEN again
const HOLE = 0.003; // parts of the picture
const SPECK = 0.002;
const SURE = 0.88; // of the network's output

/** What must not be shown, and why: one line for the user. */
export class Implausible extends Error {}

/** Looks at a stream's masks, one after another: one that hides nothing cannot be told from a broken one. */
export class Plausible {
  private covered = 1; // share of the picture under the last one that was believed; nothing is a jump at first

  check(alpha: Float32Array): void {
    let sum = 0;
    for (let place = 0; place < alpha.length; place++) sum += alpha[place]!;
    const covered = sum / alpha.length;
    if (!(covered < FULL)) throw new Implausible("the mask covers the whole picture");
    if (covered > SUDDEN && this.covered < BEFORE) {
      throw new Implausible("the mask suddenly covers almost the whole picture");
    }
    this.covered = covered;
  }
}

/** The kernels of parts.ts for masks of one size. */
export class Shaping {
  readonly output: Placed<Float32Array>; // what the network said, (inputHeight, inputWidth): to be filled
  readonly alpha: Placed<Float32Array>; // (height, width)
  private readonly seen: number; // bytes: 0 where a pixel is in the mask and in no part yet
  private readonly part: number; // the pixels of one connected part; also the stack of those to look at
  private readonly holes: number;

  /** Bytes of memory it takes. */
  static bytes(fit: Fit): number {
    return 17 * fit.inputWidth * fit.inputHeight + 128;
  }

  constructor(
    private readonly kernels: Kernels,
    private readonly fit: Fit,
  ) {
    const size = fit.inputWidth * fit.inputHeight;
    this.output = kernels.floats(size);
    this.alpha = kernels.floats(fit.width * fit.height + 4);
    this.seen = kernels.bytes(size).at;
    this.part = kernels.ints(size).at;
    this.holes = kernels.ints(fit.width * fit.height).at;
  }

  /** The parts emptied of which the network is hardly sure; then its border cut off and the middle of its range stretched. */
  crisp(): void {
    const { fit, output, alpha, seen, part } = this;
    const { run } = this.kernels;
    run.doubt(output.at, fit.inputWidth, fit.inputHeight, seen, part, SURE, MODEL_SURE);
    if (!run.crisp(output.at, fit.inputWidth, alpha.at, fit.width, fit.height)) throw new Implausible("the network gave a value that is no number");
  }

  /** Small holes inside the person filled, specks outside dropped. */
  tidy(): void {
    const { fit, alpha, seen, part, holes } = this;
    const { run } = this.kernels;
    const all = fit.width * fit.height;
    run.fill(alpha.at, fit.width, fit.height, seen, part, holes, HOLE * all);
    run.drop(alpha.at, fit.width, fit.height, seen, part, SPECK * all);
  }
}
