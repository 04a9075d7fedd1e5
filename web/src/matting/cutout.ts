/** The person of a frame on transparency, colours freed of the room's: compositor.py's `cutout`. */

import type { Active, Span } from "./active";
import { WeightedBlur } from "./blur";
import { axis, rowAt } from "./planes";

const GUIDE_SIDE = 224;
const GUIDE_SIGMA = 2;
// By 8-bit alpha: how sure a pixel is of the person, 0 up to the half, and its voice among the colours nearby.
export const SURE = Float32Array.from({ length: 256 }, (_, level) => Math.min(1, Math.max(0, (level - 128) / 127)));
const VOICE = SURE.map((sure) => (sure > 0 ? Math.max(sure ** 16, 1e-6) : 0));

/** Turns frames of one size into cut-outs, in place. */
export class Cutout {
  private readonly nearby: WeightedBlur;
  private readonly sample: Uint8ClampedArray;
  private readonly voice: Float32Array;
  private readonly row: Float32Array;

  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly fineWidth: number,
    private readonly fineHeight: number,
  ) {
    const scale = Math.min(1, GUIDE_SIDE / Math.max(width, height));
    const [across, down] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    this.nearby = new WeightedBlur(across, down, 2);
    this.sample = new Uint8ClampedArray(4 * across * down);
    this.voice = new Float32Array(across * down);
    this.row = new Float32Array(fineWidth);
  }

  /**
   * `frame`: RGBA, whose room becomes transparent black; `alpha`, (fineHeight, fineWidth), is enlarged linearly;
   * `active`: where it is neither 0 nor 1, if that is known.
   */
  apply(frame: Uint8ClampedArray, alpha: Float32Array, active: Active | null): void {
    this.listen(frame, alpha);
    this.nearby.apply(this.sample, 4, this.voice, GUIDE_SIGMA);
    const words = new Uint32Array(frame.buffer, frame.byteOffset, frame.length >> 2);
    const { first, second } = axis(this.fineHeight, this.height);
    for (let y = 0; y < this.height; y++) {
      const spans = active?.spans(first[y]!);
      if (spans !== undefined && spans === active?.spans(second[y]!)) this.bySpans(frame, words, alpha, y, spans);
      else this.mix(frame, words, alpha, y, 0, this.width);
    }
  }

  private bySpans(frame: Uint8ClampedArray, words: Uint32Array, alpha: Float32Array, y: number, spans: readonly Span[]): void {
    const times = this.width / this.fineWidth;
    const start = y * this.width;
    for (const span of spans) {
      const from = Math.ceil(span.from * times);
      const to = Math.ceil(span.to * times);
      if (span.kind === 2) this.mix(frame, words, alpha, y, from, to);
      else if (span.kind === 0) words.fill(0, start + from, start + to);
      // Whole person: the frame's own pixels, opaque as they came.
    }
  }

  /** Some columns of a row, pixel by pixel. */
  private mix(frame: Uint8ClampedArray, words: Uint32Array, alpha: Float32Array, y: number, from: number, to: number): void {
    const { row, width, nearby } = this;
    const { first, second, share } = axis(this.fineWidth, width);
    const smallest = first[from]!;
    rowAt(alpha, this.fineWidth, axis(this.fineHeight, this.height), y, row, smallest, second[to - 1]! + 1);
    const { data, width: nearWidth, height: nearHeight } = nearby.out;
    const down = axis(nearHeight, this.height);
    const along = axis(nearWidth, width);
    const top = down.first[y]! * nearWidth;
    const bottom = down.second[y]! * nearWidth;
    const below = down.share[y]!;
    for (let x = from, place = y * width + from; x < to; x++, place++) {
      const left = row[first[x]!]!;
      const next = row[second[x]!]!;
      if (left === 1 && next === 1) continue; // the frame's own pixel, opaque as it came
      const level = ((left + (next - left) * share[x]!) * 255 + 0.5) | 0;
      if (level === 0) words[place] = 0;
      else if (level < 255) {
        const sure = SURE[level]!;
        const right = along.share[x]!;
        const one = 4 * (top + along.first[x]!);
        const two = 4 * (top + along.second[x]!);
        const three = 4 * (bottom + along.first[x]!);
        const four = 4 * (bottom + along.second[x]!);
        for (let channel = 0; channel < 3; channel++) {
          const above = data[one + channel]! + (data[two + channel]! - data[one + channel]!) * right;
          const under = data[three + channel]! + (data[four + channel]! - data[three + channel]!) * right;
          const around = above + (under - above) * below;
          frame[4 * place + channel] = frame[4 * place + channel]! * sure + around * (1 - sure);
        }
        frame[4 * place + 3] = level;
      }
    }
  }

  /** Single pixels, no means: a mean with a pixel of the room would let its colour in. */
  private listen(frame: Uint8ClampedArray, alpha: Float32Array): void {
    const { sample, voice, row } = this;
    const { width, height } = this.nearby.out;
    const { first, second, share } = axis(this.fineWidth, this.width);
    const vertical = axis(this.fineHeight, this.height);
    for (let y = 0, place = 0; y < height; y++) {
      const line = Math.floor((y * this.height) / height);
      rowAt(alpha, this.fineWidth, vertical, line, row);
      for (let x = 0; x < width; x++, place++) {
        const column = Math.floor((x * this.width) / width);
        const left = row[first[column]!]!;
        voice[place] = VOICE[((left + (row[second[column]!]! - left) * share[column]!) * 255 + 0.5) | 0]!;
        const at = 4 * (line * this.width + column);
        sample[4 * place] = frame[at]!;
        sample[4 * place + 1] = frame[at + 1]!;
        sample[4 * place + 2] = frame[at + 2]!;
      }
    }
  }
}
