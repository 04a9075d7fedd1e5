/**
 * Where an alpha is neither 0 nor 1 all around: only there edges are sought and pixels mixed.
 *
 * The alpha is looked at in cells of 4 x 4 pixels. A cell is quiet where it and those within RING cells of it are all room
 * or all person; what the guided filter makes of it is then the same, for the filter reaches less far than that.
 */

import type { Kernels, Placed } from "./kernels";

const CELL = 4;
const RING = 2;
const NEARLY = 1 / 512; // what an 8-bit matte cannot show

/** The kinds of spans, of columns of a row, as kernels.ts reads them: all room, all person, active. */
type Kind = 0 | 1 | 2;

export class Active {
  /** What holds everything near, in pixels of the alpha; `right` and `bottom` are the first outside. Empty: all 0. */
  readonly box = { left: 0, top: 0, right: 0, bottom: 0 };
  readonly spans: Placed<Int32Array>; // for each row of cells: how many, then of each from, to, kind, isNear
  readonly pitch: number; // entries of a row of `spans`
  readonly lineOf: Placed<Int32Array>; // the row of cells of each row of the larger picture
  private readonly across: number;
  private readonly down: number;
  private readonly low: Placed<Float32Array>;
  private readonly high: Placed<Float32Array>;
  private readonly near: Float32Array;
  private readonly work: Float32Array;
  private readonly kinds: Uint8Array;
  private readonly starts: Int32Array; // of each cell's columns

  /** Bytes of memory it takes. */
  static bytes(width: number, height: number, fineHeight: number): number {
    const across = Math.ceil(width / CELL);
    return 4 * Math.ceil(height / CELL) * (6 * across + 1) + 4 * fineHeight + 64;
  }

  /** For alphas of `width` x `height`, looked at in rows of a larger picture of `fineWidth` x `fineHeight`. */
  constructor(
    private readonly kernels: Kernels,
    private readonly width: number,
    private readonly height: number,
    fineWidth: number,
    fineHeight: number,
  ) {
    this.across = Math.ceil(width / CELL);
    this.down = Math.ceil(height / CELL);
    const count = this.across * this.down;
    this.pitch = 1 + 4 * this.across;
    this.spans = kernels.ints(this.pitch * this.down);
    this.lineOf = kernels.ints(fineHeight);
    this.low = kernels.floats(count);
    this.high = kernels.floats(count);
    this.near = new Float32Array(count);
    this.work = new Float32Array(count);
    this.kinds = new Uint8Array(count);
    for (let y = 0; y < fineHeight; y++) {
      this.lineOf.view[y] = Math.min(this.down - 1, Math.floor((y * height) / fineHeight / CELL));
    }
    this.starts = Int32Array.from({ length: this.across + 1 }, (_, cell) => Math.min(fineWidth, Math.ceil((cell * CELL * fineWidth) / width)));
    this.starts[this.across] = fineWidth;
  }

  /** `alpha`: the address of one. */
  find(alpha: number): void {
    this.kernels.run.cells(alpha, this.width, this.height, this.low.at, this.high.at, this.across);
    this.judge();
    this.bound();
    for (let row = 0; row < this.down; row++) this.writeSpans(row);
  }

  private judge(): void {
    const { kinds, near } = this;
    const [low, high] = [this.low.view, this.high.view];
    for (let cell = 0; cell < low.length; cell++) low[cell] = -low[cell]!; // so that one kind of spreading does for both
    this.spread(low);
    this.spread(high);
    for (let cell = 0; cell < kinds.length; cell++) {
      kinds[cell] = high[cell]! < NEARLY ? 0 : -low[cell]! > 1 - NEARLY ? 1 : 2;
      near[cell] = kinds[cell] === 2 ? 1 : 0;
    }
    this.spread(near);
  }

  /** Each cell the most of those within RING, in place; first along the rows, then along the columns. */
  private spread(cells: Float32Array): void {
    const { across, down, work } = this;
    for (let row = 0, cell = 0; row < down; row++) {
      for (let column = 0; column < across; column++, cell++) {
        let most = cells[cell]!;
        for (let at = Math.max(0, column - RING); at <= Math.min(across - 1, column + RING); at++) {
          const other = cells[row * across + at]!;
          if (other > most) most = other;
        }
        work[cell] = most;
      }
    }
    for (let row = 0, cell = 0; row < down; row++) {
      for (let column = 0; column < across; column++, cell++) {
        let most = work[cell]!;
        for (let at = Math.max(0, row - RING); at <= Math.min(down - 1, row + RING); at++) {
          const other = work[at * across + column]!;
          if (other > most) most = other;
        }
        cells[cell] = most;
      }
    }
  }

  private bound(): void {
    let [left, top, right, bottom] = [this.across, this.down, 0, 0];
    for (let row = 0, cell = 0; row < this.down; row++) {
      for (let column = 0; column < this.across; column++, cell++) {
        if (this.near[cell] === 0) continue;
        left = Math.min(left, column);
        right = Math.max(right, column + 1);
        top = Math.min(top, row);
        bottom = row + 1;
      }
    }
    const isEmpty = right === 0;
    this.box.left = isEmpty ? 0 : left * CELL;
    this.box.top = isEmpty ? 0 : top * CELL;
    this.box.right = Math.min(this.width, right * CELL);
    this.box.bottom = Math.min(this.height, bottom * CELL);
  }

  private writeSpans(row: number): void {
    const { across, kinds, near, starts } = this;
    const out = this.spans.view;
    const line = row * this.pitch;
    let at = line + 1 - 4; // of the last span
    for (let column = 0, cell = row * across; column < across; column++, cell++) {
      const kind = kinds[cell] as Kind;
      if (column > 0 && out[at + 2] === kind && out[at + 3] === near[cell]) {
        out[at + 1] = starts[column + 1]!;
        continue;
      }
      at += 4;
      out[at] = starts[column]!;
      out[at + 1] = starts[column + 1]!;
      out[at + 2] = kind;
      out[at + 3] = near[cell]!;
    }
    out[line] = (at + 3 - line) / 4;
  }
}
