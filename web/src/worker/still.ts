/** One photograph: its person as a transparent PNG. */

import { crisp, Tidy } from "../matting/alpha";
import { Cutout } from "../matting/cutout";
import { fitOf } from "../matting/fit";
import { toInput } from "../matting/input";
import { fineOf, Refiner } from "../matting/refine";
import type { Network } from "./network";
import { encodePng } from "./png";

export async function cutOutStill(network: Network, picture: ImageBitmap): Promise<Blob> {
  const { width, height } = picture;
  const pixels = pixelsOf(picture);
  const fit = fitOf(width, height);
  const input = new Uint8Array(3 * fit.inputWidth * fit.inputHeight);
  toInput(pixels, fit, input);
  const small = new Float32Array(fit.width * fit.height);
  crisp(await network.run(input, fit), fit, small);
  new Tidy(fit.width, fit.height).apply(small);
  cut(pixels, width, height, small, fit);
  return encodePng(pixels, width, height);
}

/** In place. A picture no larger than the alpha has no edges to add to it. */
function cut(pixels: Uint8ClampedArray, width: number, height: number, small: Float32Array, fit: { width: number; height: number }): void {
  if (width <= fit.width || height <= fit.height) {
    return new Cutout(width, height, fit.width, fit.height).apply(pixels, small, null);
  }
  const fine = fineOf(width, height, fit.width);
  const refiner = new Refiner(fine, fit.width, fit.height);
  const alpha = refiner.apply(pixels, width, small, 0);
  new Cutout(width, height, fine.width, fine.height).apply(pixels, alpha, refiner.active);
}

function pixelsOf(picture: ImageBitmap): Uint8ClampedArray {
  const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  if (context === null) throw new Error("this browser gives no canvas for a picture of this size");
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height).data;
}
