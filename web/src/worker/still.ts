/** One photograph: its person as a transparent PNG. */

import { Shaping } from "../matting/alpha";
import { Edges } from "../matting/edges";
import { fitOf } from "../matting/fit";
import { Kernels } from "../matting/kernels";
import type { Network } from "./network";
import { encodePng } from "./png";

export async function cutOutStill(network: Network, picture: ImageBitmap): Promise<Blob> {
  const { width, height } = picture;
  const fit = fitOf(width, height);
  const edges = new Edges(network.kernels, fit);
  edges.pixels.set(pixelsOf(picture));
  const input = new Uint8Array(3 * fit.inputWidth * fit.inputHeight);
  edges.readInput(input);
  const shaping = new Shaping(new Kernels(network.kernels, Shaping.bytes(fit)), fit);
  shaping.output.view.set(await network.run(input, fit));
  shaping.crisp();
  shaping.tidy();
  edges.cut(shaping.alpha.view.subarray(0, fit.width * fit.height), 0);
  return encodePng(edges.pixels, width, height);
}

/** What is transparent in the photo is white, as everywhere in figureground. */
function pixelsOf(picture: ImageBitmap): Uint8ClampedArray {
  const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d", { alpha: false });
  if (context === null) throw new Error("this browser gives no canvas for a picture of this size");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height).data;
}
