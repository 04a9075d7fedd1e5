/** What stands behind the person, in the kernels' memory, so that the whole picture is put on the canvas at once. */

import type { Rgb } from "./blur";
import type { Fit } from "./fit";
import type { Kernels, Placed } from "./kernels";

export class Behind {
  /** RGBA of the frame's size: to be filled by whoever has a picture. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  private readonly at: number;
  private readonly words: Uint32Array;
  private readonly small: Placed<Uint8ClampedArray>;
  private readonly row: number;
  private readonly axes = new Map<number, { across: number; downward: number }>(); // by the small picture's width

  /** Bytes of memory it takes; rooms come in two sizes. */
  static bytes(fit: Fit): number {
    return 4 * fit.frameWidth * fit.frameHeight + 20 * fit.width * fit.height + 24 * (fit.frameWidth + fit.frameHeight) + 256;
  }

  constructor(
    private readonly kernels: Kernels,
    private readonly fit: Fit,
  ) {
    const size = fit.frameWidth * fit.frameHeight;
    const { at, view } = kernels.bytes(4 * size);
    this.at = at;
    this.pixels = view;
    this.words = new Uint32Array(view.buffer, at, size);
    this.small = kernels.bytes(4 * fit.width * fit.height);
    this.row = kernels.floats(4 * fit.width).at;
  }

  /** `colour`: #rrggbb. */
  fill(colour: string): void {
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)) as [number, number, number];
    this.words.fill(((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
  }

  /** A picture no larger than the network's, enlarged. */
  stretch({ data, width, height }: Rgb): void {
    const { fit, small, row, at, kernels } = this;
    let axes = this.axes.get(width);
    if (axes === undefined) {
      axes = { across: kernels.axis(width, fit.frameWidth), downward: kernels.axis(height, fit.frameHeight) };
      this.axes.set(width, axes);
    }
    small.view.set(data);
    kernels.run.stretch(small.at, width, axes.across, axes.downward, row, at, fit.frameWidth, fit.frameHeight);
  }

  /** Lay the person at `frame`, whose pixels have straight alpha, over it, in place. */
  lay(frame: number): void {
    this.kernels.run.over(frame, this.at, this.words.length);
  }
}
