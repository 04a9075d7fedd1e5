/** Edges at the frame's resolution: refine.py's fast guided filter, for one picture or steadied for a stream. */

import { Active } from "./active";
import { axis, BoxMean, mirrored, rowAt, rowSums } from "./planes";
import { roundHalfEven } from "./fit";

const RADIUS = 2;
const SIDE = 2 * RADIUS + 1;
const EPSILON = 1e-3;
const SCALE = 2;
const STRETCH = 1.3;
export const CHANGED = 8;
export const SMOOTH = 5;
const RISE = 0.7;
const FALL = 0.05;
export const JUMP = 0.3;
const GAP = 0.5;
const UNKNOWN = -1000; // in place of a brightness: whatever comes has changed

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

/** The parts of the way up and down that a still pixel goes in the time since the last frame; 1 for a new stream. */
export interface Pace {
  readonly up: number;
  readonly down: number;
  readonly isNew: boolean;
}

export function paceOf(passed: number): Pace {
  const isNew = !(passed > 0 && passed <= GAP);
  return { up: -Math.expm1(-passed / RISE), down: -Math.expm1(-passed / FALL), isNew };
}

/** Alpha as a linear function of brightness near every pixel: `slope` and `offset`, (height, width), stretched. */
export class GuidedFit {
  readonly slope: Float32Array;
  readonly offset: Float32Array;
  private readonly sums: [Float32Array, Float32Array, Float32Array, Float32Array];
  private readonly columns: Float32Array; // of the four sums, side by side
  private readonly steep: Float32Array;
  private readonly rest: Float32Array;
  private readonly padded: Float32Array;
  private readonly mean: BoxMean;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    const plane = (): Float32Array => new Float32Array(width * height);
    this.slope = plane();
    this.offset = plane();
    this.sums = [plane(), plane(), plane(), plane()];
    this.columns = new Float32Array(4 * width);
    this.steep = plane();
    this.rest = plane();
    this.padded = new Float32Array(width + SIDE);
    this.mean = new BoxMean(width, height, SIDE, true);
  }

  /** `guide`: brightness in [0, 1]. */
  apply(guide: Float32Array, alpha: Float32Array): void {
    const { slope, offset, width } = this;
    const [guides, alphas, both, square] = this.sums;
    // Products first, into the planes of the results, which are not needed yet.
    for (let place = 0; place < slope.length; place++) {
      const value = guide[place]!;
      slope[place] = value * alpha[place]!;
      offset[place] = value * value;
    }
    rowSums(guide, guides, this.padded, width, SIDE, true);
    rowSums(alpha, alphas, this.padded, width, SIDE, true);
    rowSums(slope, both, this.padded, width, SIDE, true);
    rowSums(offset, square, this.padded, width, SIDE, true);
    this.fitLines();
    this.mean.apply(this.steep, slope);
    this.mean.apply(this.rest, offset);
    for (let place = 0; place < slope.length; place++) {
      slope[place]! *= STRETCH;
      offset[place] = offset[place]! * STRETCH + (1 - STRETCH) / 2;
    }
  }

  /** The four means over windows, and from them the line of each. */
  private fitLines(): void {
    const { width, height, columns, steep, rest } = this;
    const [guides, alphas, both, square] = this.sums;
    const scale = 1 / (SIDE * SIDE);
    columns.fill(0);
    for (let y = -RADIUS; y <= RADIUS; y++) this.addRow(mirrored(y, height, true) * width);
    for (let y = 0, place = 0; y < height; y++) {
      const enter = mirrored(y + 1 + RADIUS, height, true) * width;
      const leave = mirrored(y - RADIUS, height, true) * width;
      for (let x = 0, at = 0; x < width; x++, at += 4, place++) {
        const [guideSum, alphaSum, bothSum, squareSum] = [columns[at]!, columns[at + 1]!, columns[at + 2]!, columns[at + 3]!];
        const guideMean = guideSum * scale;
        const alphaMean = alphaSum * scale;
        const line = (bothSum * scale - guideMean * alphaMean) / (squareSum * scale - guideMean * guideMean + EPSILON);
        steep[place] = line;
        rest[place] = alphaMean - line * guideMean;
        columns[at] = guideSum + guides[enter + x]! - guides[leave + x]!;
        columns[at + 1] = alphaSum + alphas[enter + x]! - alphas[leave + x]!;
        columns[at + 2] = bothSum + both[enter + x]! - both[leave + x]!;
        columns[at + 3] = squareSum + square[enter + x]! - square[leave + x]!;
      }
    }
  }

  private addRow(row: number): void {
    const { width, columns } = this;
    this.sums.forEach((sums, place) => {
      for (let x = 0; x < width; x++) columns[4 * x + place]! += sums[row + x]!;
    });
  }
}

/** The whole filter on the CPU. One object a stream, or one a picture. */
export class Refiner {
  readonly alpha: Float32Array; // (fine.height, fine.width): the result
  readonly active: Active; // where it is neither 0 nor 1
  private readonly fit: GuidedFit;
  private readonly grey: Uint8Array;
  private readonly guide: Float32Array;
  private readonly known: Int16Array; // smoothed brightness when alpha was last believed
  private readonly columns: Int32Array; // sums over SMOOTH rows
  private readonly rows: [Float32Array, Float32Array];
  private time = -Infinity;

  constructor(
    readonly fine: Fine,
    private readonly width: number,
    private readonly height: number,
  ) {
    const size = fine.width * fine.height;
    this.alpha = new Float32Array(size);
    this.active = new Active(width, height, fine.width, fine.height);
    this.fit = new GuidedFit(width, height);
    this.grey = new Uint8Array(size);
    this.guide = new Float32Array(width * height);
    this.known = new Int16Array(size).fill(UNKNOWN);
    this.columns = new Int32Array(fine.width);
    this.rows = [new Float32Array(width), new Float32Array(width)];
  }

  /** Forget the frames before. */
  reset(): void {
    this.time = -Infinity;
  }

  /** `frame`: RGBA with rows of `stride` pixels; `alpha`, (height, width); `time` in seconds, of a stream. */
  apply(frame: Uint8ClampedArray, stride: number, alpha: Float32Array, time: number): Float32Array {
    const { fine, active } = this;
    const pace = paceOf(time - this.time);
    this.time = time;
    active.find(alpha);
    for (let y = 0; y < fine.height; y++) {
      for (const { from, to, isNear } of active.spans(y)) if (isNear) greyOf(frame, stride, fine, this.grey, y, from, to);
    }
    this.shrinkGuide();
    this.fit.apply(this.guide, alpha);
    for (let y = 0; y < fine.height; y++) this.row(y, pace);
    return this.alpha;
  }

  /** The brightness at the alpha's own resolution, linearly, in [0, 1]. */
  private shrinkGuide(): void {
    const { fine, grey, guide, width, height } = this;
    const { first, second, share } = axis(fine.width, width);
    const vertical = axis(fine.height, height);
    for (let y = 0, place = 0; y < height; y++) {
      const top = vertical.first[y]! * fine.width;
      const bottom = vertical.second[y]! * fine.width;
      for (let x = 0; x < width; x++, place++) {
        const above = grey[top + first[x]!]! + (grey[top + second[x]!]! - grey[top + first[x]!]!) * share[x]!;
        const below = grey[bottom + first[x]!]! + (grey[bottom + second[x]!]! - grey[bottom + first[x]!]!) * share[x]!;
        guide[place] = (above + (below - above) * vertical.share[y]!) / 255;
      }
    }
  }

  private row(y: number, pace: Pace): void {
    const { fine, known, alpha } = this;
    const start = y * fine.width;
    const spans = this.active.spans(y);
    if (spans.some((span) => span.kind === 2)) {
      const vertical = axis(this.height, fine.height);
      rowAt(this.fit.slope, this.width, vertical, y, this.rows[0]);
      rowAt(this.fit.offset, this.width, vertical, y, this.rows[1]);
    }
    for (const { from, to, kind } of spans) {
      if (kind === 2) this.follow(y, from, to, pace);
      else {
        alpha.fill(kind, start + from, start + to);
        known.fill(UNKNOWN, start + from, start + to);
      }
    }
  }

  /** The alpha of some columns, and what it does in time. */
  private follow(y: number, from: number, to: number, pace: Pace): void {
    const { fine, grey, known, alpha, columns } = this;
    const [slopes, offsets] = this.rows;
    const { first, second, share } = axis(this.width, fine.width);
    this.sumColumns(y, from, to);
    for (let x = from, place = y * fine.width + from; x < to; x++, place++) {
      const left = first[x]!;
      const right = second[x]!;
      const part = share[x]!;
      const slope = slopes[left]! + (slopes[right]! - slopes[left]!) * part;
      const offset = offsets[left]! + (offsets[right]! - offsets[left]!) * part;
      const value = (slope * grey[place]!) / 255 + offset;
      const now = value < 0 ? 0 : value > 1 ? 1 : value;
      let sum = 0;
      if (x >= 2 && x < fine.width - 2) sum = columns[x - 2]! + columns[x - 1]! + columns[x]! + columns[x + 1]! + columns[x + 2]!;
      else for (let near = x - 2; near <= x + 2; near++) sum += columns[mirrored(near, fine.width, false)]!;
      const around = Math.round(sum / (SMOOTH * SMOOTH));
      const up = now - alpha[place]!;
      const changed = around - known[place]!;
      if (pace.isNew || changed > CHANGED || changed < -CHANGED) {
        known[place] = around;
        alpha[place] = now;
      } else if (up > JUMP) {
        alpha[place] = now;
      } else {
        alpha[place]! += up > 0 ? up * pace.up : up * pace.down; // it falls faster than it rises
      }
    }
  }

  private sumColumns(y: number, from: number, to: number): void {
    const { fine, grey, columns } = this;
    const starts = [-2, -1, 0, 1, 2].map((step) => mirrored(y + step, fine.height, false) * fine.width);
    const [a, b, c, d, e] = starts as [number, number, number, number, number];
    for (let x = Math.max(0, from - 2); x < Math.min(fine.width, to + 2); x++) {
      columns[x] = grey[a + x]! + grey[b + x]! + grey[c + x]! + grey[d + x]! + grey[e + x]!;
    }
  }
}

/** Brightness as OpenCV counts it, means over `times` x `times` pixels, of some columns of a row. */
function greyOf(frame: Uint8ClampedArray, stride: number, fine: Fine, out: Uint8Array, y: number, from: number, to: number): void {
  const { times, width } = fine;
  const scale = 1 / (times * times * 1000);
  for (let x = from, place = y * width + from; x < to; x++, place++) {
    let sum = 0;
    for (let row = y * times; row < (y + 1) * times; row++) {
      let at = 4 * (row * stride + x * times);
      for (const end = at + 4 * times; at < end; at += 4) sum += 299 * frame[at]! + 587 * frame[at + 1]! + 114 * frame[at + 2]!;
    }
    out[place] = sum * scale + 0.5;
  }
}
