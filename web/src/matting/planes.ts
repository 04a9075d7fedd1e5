/**
 * Arithmetic on planes of numbers, row by row: the places that resizing reads, and box means, in memory that is kept.
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

/** The place inside of `length` that one beyond the border stands for; mirrored, with the last one twice. */
function mirrored(place: number, length: number): number {
  if (length === 1) return 0;
  const inside = place < 0 ? -place - 1 : place < length ? place : 2 * length - 1 - place;
  return Math.min(length - 1, Math.max(0, inside));
}

/** Sums over windows of `side` along each of the first rows; `padded` has room for a row and `side` more. */
function rowSums(source: Float32Array, out: Float32Array, padded: Float32Array, width: number, height: number, side: number): void {
  const before = side >> 1;
  for (let start = 0; start < width * height; start += width) {
    for (let x = 0; x < before; x++) padded[x] = source[start + mirrored(x - before, width)]!;
    for (let x = 0; x < width; x++) padded[before + x] = source[start + x]!;
    for (let x = width; x < width + side - before; x++) padded[before + x] = source[start + mirrored(x, width)]!;
    let sum = 0;
    for (let x = 0; x < side; x++) sum += padded[x]!;
    for (let x = 0; x < width; x++) {
      out[start + x] = sum;
      sum += padded[x + side]! - padded[x]!;
    }
  }
}

/** Means over windows of `side` x `side`; beyond the border the picture is mirrored, with its last row twice. */
export class BoxMean {
  private readonly sums: Float32Array;
  private readonly column: Float32Array;
  private readonly padded: Float32Array;

  /** For planes of at most this size. */
  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly side: number,
  ) {
    this.sums = new Float32Array(width * height);
    this.column = new Float32Array(width);
    this.padded = new Float32Array(width + side);
  }

  /** `out` may be `source`. */
  apply(source: Float32Array, out: Float32Array, width = this.width, height = this.height): void {
    const { side, sums, column } = this;
    rowSums(source, sums, this.padded, width, height, side);
    const before = side >> 1;
    const after = side - 1 - before;
    const scale = 1 / (side * side);
    column.fill(0);
    for (let y = -before; y <= after; y++) {
      const row = mirrored(y, height) * width;
      for (let x = 0; x < width; x++) column[x]! += sums[row + x]!;
    }
    for (let y = 0, place = 0; y < height; y++) {
      const enter = mirrored(y + 1 + after, height) * width;
      const leave = mirrored(y - before, height) * width;
      for (let x = 0; x < width; x++, place++) {
        const sum = column[x]!;
        out[place] = sum * scale;
        column[x] = sum + sums[enter + x]! - sums[leave + x]!;
      }
    }
  }
}
