/** Edges at the frame's resolution: refine.py's fast guided filter, for one picture or steadied for a stream. */

import { Active } from "./active";
import { axis, BoxMean, mirrored, rowSums } from "./planes";
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

  /** For pictures of at most this size. */
  constructor(width: number, height: number) {
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

  /** `guide`: brightness in [0, 1]; both (height, width), at the beginning of arrays that may be longer. */
  apply(guide: Float32Array, alpha: Float32Array, width: number, height: number): void {
    const { slope, offset } = this;
    const size = width * height;
    const [guides, alphas, both, square] = this.sums;
    // Products first, into the planes of the results, which are not needed yet.
    for (let place = 0; place < size; place++) {
      const value = guide[place]!;
      slope[place] = value * alpha[place]!;
      offset[place] = value * value;
    }
    rowSums(guide, guides, this.padded, width, height, SIDE, true);
    rowSums(alpha, alphas, this.padded, width, height, SIDE, true);
    rowSums(slope, both, this.padded, width, height, SIDE, true);
    rowSums(offset, square, this.padded, width, height, SIDE, true);
    this.fitLines(width, height);
    this.mean.apply(this.steep, slope, width, height);
    this.mean.apply(this.rest, offset, width, height);
    for (let place = 0; place < size; place++) {
      slope[place]! *= STRETCH;
      offset[place] = offset[place]! * STRETCH + (1 - STRETCH) / 2;
    }
  }

  /** The four means over windows, and from them the line of each. */
  private fitLines(width: number, height: number): void {
    const { columns, steep, rest } = this;
    const [guides, alphas, both, square] = this.sums;
    const scale = 1 / (SIDE * SIDE);
    columns.fill(0);
    for (let y = -RADIUS; y <= RADIUS; y++) this.addRow(mirrored(y, height, true) * width, width);
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

  private addRow(row: number, width: number): void {
    const { columns } = this;
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
  private readonly guide: Float32Array; // these two of the box of what is active, close-packed
  private readonly inBox: Float32Array;
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
    this.inBox = new Float32Array(width * height);
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
    this.fitInBox(alpha);
    for (let y = 0; y < fine.height; y++) this.row(y, pace);
    return this.alpha;
  }

  /** The guided filter's lines, where they are needed. */
  private fitInBox(alpha: Float32Array): void {
    const { fine, grey, guide, inBox, width, height } = this;
    const { left, top, right, bottom } = this.active.box;
    const { first, second, share } = axis(fine.width, width);
    const vertical = axis(fine.height, height);
    for (let y = top, place = 0; y < bottom; y++) {
      const over = vertical.first[y]! * fine.width;
      const under = vertical.second[y]! * fine.width;
      const down = vertical.share[y]!;
      for (let x = left; x < right; x++, place++) {
        const above = grey[over + first[x]!]! + (grey[over + second[x]!]! - grey[over + first[x]!]!) * share[x]!;
        const below = grey[under + first[x]!]! + (grey[under + second[x]!]! - grey[under + first[x]!]!) * share[x]!;
        guide[place] = (above + (below - above) * down) / 255; // the brightness at the alpha's own resolution
        inBox[place] = alpha[y * width + x]!;
      }
    }
    if (bottom > top) this.fit.apply(guide, inBox, right - left, bottom - top);
  }

  private row(y: number, pace: Pace): void {
    const { fine, known, alpha } = this;
    const start = y * fine.width;
    let hasLines = false;
    for (const { from, to, kind } of this.active.spans(y)) {
      if (kind === 2) {
        if (!hasLines) this.readLines(y);
        hasLines = true;
        this.follow(y, from, to, pace);
      } else {
        alpha.fill(kind, start + from, start + to);
        known.fill(UNKNOWN, start + from, start + to);
      }
    }
  }

  /** Slopes and offsets of the row, by the alpha's columns. */
  private readLines(y: number): void {
    const { fit, rows } = this;
    const { left, top, right, bottom } = this.active.box;
    const vertical = axis(this.height, this.fine.height);
    const over = Math.min(bottom - 1, Math.max(top, vertical.first[y]!)) - top;
    const under = Math.min(bottom - 1, Math.max(top, vertical.second[y]!)) - top;
    const down = vertical.share[y]!;
    const across = right - left;
    for (let x = 0, above = over * across, below = under * across; x < across; x++, above++, below++) {
      rows[0][left + x] = fit.slope[above]! + (fit.slope[below]! - fit.slope[above]!) * down;
      rows[1][left + x] = fit.offset[above]! + (fit.offset[below]! - fit.offset[above]!) * down;
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
    const { grey, columns } = this;
    const { width, height } = this.fine;
    const one = mirrored(y - 2, height, false) * width;
    const two = mirrored(y - 1, height, false) * width;
    const three = y * width;
    const four = mirrored(y + 1, height, false) * width;
    const five = mirrored(y + 2, height, false) * width;
    for (let x = Math.max(0, from - 2); x < Math.min(width, to + 2); x++) {
      columns[x] = grey[one + x]! + grey[two + x]! + grey[three + x]! + grey[four + x]! + grey[five + x]!;
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
