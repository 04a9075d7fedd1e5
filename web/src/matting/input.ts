/** From a large frame's pixels to the network's input, as preprocess.py's `to_input`; of others kernels.ts does it. */

import type { Fit } from "./fit";

/** Whether linear resize would turn texture into noise: it reads four pixels whatever the factor. */
export function isLarge(fit: Fit): boolean {
  return fit.frameWidth > 6 * fit.width || fit.frameHeight > 6 * fit.height;
}

/** Each target pixel the mean of the source pixels under it, those at its border by their share. */
export function toInputByArea(frame: Uint8ClampedArray, fit: Fit, out: Uint8Array): void {
  const horizontal = spans(fit.frameWidth, fit.width);
  const vertical = spans(fit.frameHeight, fit.height);
  for (let y = 0; y < fit.height; y++) {
    for (let x = 0; x < fit.width; x++) {
      const sums = meanUnder(frame, fit.frameWidth, vertical[y]!, horizontal[x]!);
      for (let channel = 0; channel < 3; channel++) out[3 * (y * fit.inputWidth + x) + channel] = sums[channel]! + 0.5;
    }
  }
}

interface Span {
  readonly from: number;
  readonly weights: Float32Array; // sum 1
}

function spans(from: number, to: number): Span[] {
  const scale = from / to;
  return Array.from({ length: to }, (_, place) => {
    const start = Math.floor(place * scale);
    const end = Math.min(from, Math.ceil((place + 1) * scale - 1e-9));
    const weights = Float32Array.from(
      { length: end - start },
      (_, one) => (Math.min((place + 1) * scale, start + one + 1) - Math.max(place * scale, start + one)) / scale,
    );
    return { from: start, weights };
  });
}

function meanUnder(frame: Uint8ClampedArray, width: number, rows: Span, columns: Span): [number, number, number] {
  let red = 0;
  let green = 0;
  let blue = 0;
  rows.weights.forEach((down, row) => {
    let at = 4 * ((rows.from + row) * width + columns.from);
    for (const along of columns.weights) {
      red += frame[at]! * down * along;
      green += frame[at + 1]! * down * along;
      blue += frame[at + 2]! * down * along;
      at += 4;
    }
  });
  return [red, green, blue];
}

/** `out`: RGB, (inputHeight, inputWidth), its border filled by repeating the last row and column. */
export function fillBorder(fit: Fit, out: Uint8Array): void {
  const row = 3 * fit.inputWidth;
  for (let y = 0; y < fit.height; y++) {
    for (let at = y * row + 3 * fit.width; at < (y + 1) * row; at++) out[at] = out[at - 3]!;
  }
  for (let y = fit.height; y < fit.inputHeight; y++) out.copyWithin(y * row, (fit.height - 1) * row, fit.height * row);
}
