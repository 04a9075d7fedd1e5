/**
 * Arithmetic on planes of numbers, row by row: resizing and box means, in memory that is kept.
 *
 * All planes are Float32Arrays: a function that is handed arrays of several types takes three times as long.
 */

/** Which two source pixels a target pixel of one axis lies between, and its share of the second. */
export interface Axis {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float32Array;
}

const axes = new Map<string, Axis>();

/** Linear interpolation with pixel centres at halves, as OpenCV's. */
export function axis(from: number, to: number): Axis {
  const key = `${from} ${to}`;
  let found = axes.get(key);
  if (found === undefined) {
    if (axes.size > 64) axes.clear(); // a folder of photographs has many sizes
    found = makeAxis(from, to);
    axes.set(key, found);
  }
  return found;
}

function makeAxis(from: number, to: number): Axis {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const share = new Float32Array(to);
  for (let place = 0; place < to; place++) {
    const at = Math.min(from - 1, Math.max(0, ((place + 0.5) * from) / to - 0.5));
    first[place] = Math.floor(at);
    second[place] = Math.min(from - 1, Math.floor(at) + 1);
    share[place] = at - Math.floor(at);
  }
  return { first, second, share };
}

/** Columns `from` to before `to` of `source`, (height, width), enlarged vertically only: what lies at target row `y`. */
export function rowAt(source: Float32Array, width: number, vertical: Axis, y: number, out: Float32Array, from = 0, to = width): void {
  const top = vertical.first[y]! * width;
  const bottom = vertical.second[y]! * width;
  const share = vertical.share[y]!;
  for (let x = from; x < to; x++) out[x] = source[top + x]! + (source[bottom + x]! - source[top + x]!) * share;
}

export function resize(source: Float32Array, width: number, height: number, out: Float32Array, toWidth: number, toHeight: number): void {
  const { first, second, share } = axis(width, toWidth);
  const vertical = axis(height, toHeight);
  const row = new Float32Array(width);
  for (let y = 0, place = 0; y < toHeight; y++) {
    rowAt(source, width, vertical, y, row);
    for (let x = 0; x < toWidth; x++, place++) {
      const left = row[first[x]!]!;
      out[place] = left + (row[second[x]!]! - left) * share[x]!;
    }
  }
}

/** Means over windows of `side` x `side`; beyond the border the picture is mirrored, with its last row twice or once. */
export class BoxMean {
  private readonly sums: Float32Array;
  private readonly column: Float32Array;

  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly side: number,
    private readonly twice: boolean,
  ) {
    this.sums = new Float32Array(width * height);
    this.column = new Float32Array(width);
  }

  apply(source: Float32Array, out: Float32Array): void {
    this.rows(source);
    this.columns(out);
  }

  private mirrored(place: number, length: number): number {
    if (length === 1) return 0;
    const beyond = this.twice ? 1 : 0;
    if (place < 0) return Math.min(length - 1, -place - beyond);
    return place < length ? place : Math.max(0, 2 * length - 2 + beyond - place);
  }

  private rows(source: Float32Array): void {
    const { width, height, side, sums } = this;
    const before = side >> 1;
    const after = side - 1 - before;
    for (let y = 0; y < height; y++) {
      const start = y * width;
      let sum = 0;
      for (let x = -before; x <= after; x++) sum += source[start + this.mirrored(x, width)]!;
      sums[start] = sum;
      const inner = Math.max(1, Math.min(width, width - after));
      let x = 1;
      for (; x <= Math.min(before, width - 1); x++) {
        sum += source[start + this.mirrored(x + after, width)]! - source[start + this.mirrored(x - 1 - before, width)]!;
        sums[start + x] = sum;
      }
      for (; x < inner; x++) {
        sum += source[start + x + after]! - source[start + x - 1 - before]!;
        sums[start + x] = sum;
      }
      for (; x < width; x++) {
        sum += source[start + this.mirrored(x + after, width)]! - source[start + this.mirrored(x - 1 - before, width)]!;
        sums[start + x] = sum;
      }
    }
  }

  private columns(out: Float32Array): void {
    const { width, height, side, sums, column } = this;
    const before = side >> 1;
    const after = side - 1 - before;
    const scale = 1 / (side * side);
    column.fill(0);
    for (let y = -before; y <= after; y++) {
      const row = this.mirrored(y, height) * width;
      for (let x = 0; x < width; x++) column[x]! += sums[row + x]!;
    }
    for (let y = 0, place = 0; y < height; y++) {
      for (let x = 0; x < width; x++, place++) out[place] = column[x]! * scale;
      const enter = this.mirrored(y + 1 + after, height) * width;
      const leave = this.mirrored(y - before, height) * width;
      for (let x = 0; x < width; x++) column[x]! += sums[enter + x]! - sums[leave + x]!;
    }
  }
}
