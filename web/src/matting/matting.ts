/** One stream's way from the network's output to a steady small alpha (live/matting.py). */

import { crisp, Doubt, Plausible, Tidy } from "./alpha";
import type { Fit } from "./fit";
import { Stabiliser } from "./stabiliser";

export class Matting {
  readonly alpha: Float32Array; // (fit.height, fit.width)
  private readonly doubt: Doubt;
  private readonly tidy: Tidy;
  private readonly stabiliser: Stabiliser;
  private readonly plausible = new Plausible();

  constructor(private readonly fit: Fit) {
    this.alpha = new Float32Array(fit.width * fit.height);
    this.doubt = new Doubt(fit.inputWidth, fit.inputHeight);
    this.tidy = new Tidy(fit.width, fit.height);
    this.stabiliser = new Stabiliser(fit.width, fit.height);
  }

  /** Forget the frames before: one of them was wrong, and must not tell what the next ones show. */
  reset(): void {
    this.stabiliser.reset();
  }

  /**
   * `input`: what the network saw; `output`: what it said; `time` in seconds.
   *
   * Throws `Implausible` for a mask that hides nothing or holds what is no number: before it is mixed with others
   * and no longer looks like what it is.
   */
  apply(input: Uint8Array, output: Float32Array, time: number): Float32Array {
    this.doubt.apply(output);
    crisp(output, this.fit, this.alpha);
    this.plausible.check(this.alpha);
    this.tidy.apply(this.alpha);
    this.stabiliser.apply(input, this.fit.inputWidth, this.alpha, time);
    return this.alpha;
  }
}
