/** One stream's way from the network's output to a steady small alpha (live/matting.py). */

import { Plausible, Shaping } from "./alpha";
import type { Fit } from "./fit";
import { Kernels } from "./kernels";
import { Stabiliser } from "./stabiliser";

export class Matting {
  readonly alpha: Float32Array; // (fit.height, fit.width)
  private readonly shaping: Shaping;
  private readonly stabiliser: Stabiliser;
  private readonly plausible = new Plausible();

  constructor(module: WebAssembly.Module, fit: Fit) {
    const kernels = new Kernels(module, Shaping.bytes(fit) + Stabiliser.bytes(fit));
    this.shaping = new Shaping(kernels, fit);
    this.stabiliser = new Stabiliser(kernels, fit, this.shaping.alpha);
    this.alpha = this.shaping.alpha.view.subarray(0, fit.width * fit.height);
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
    this.shaping.output.view.set(output);
    this.shaping.crisp();
    this.plausible.check(this.alpha);
    this.shaping.tidy();
    this.stabiliser.apply(input, time);
    return this.alpha;
  }
}
