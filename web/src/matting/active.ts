/**
 * Where an alpha is neither 0 nor 1 all around: only there edges are sought and pixels mixed.
 *
 * The alpha is looked at in cells of 4 x 4 pixels. A cell is quiet where it and those within RING cells of it are all room
 * or all person; what the guided filter makes of it is then the same, for the filter reaches less far than that.
 */

const CELL = 4;
const RING = 2;
const NEARLY = 1 / 512; // what an 8-bit matte cannot show

/** Columns `from` to before `to` of a row, all of one kind. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly kind: 0 | 1 | 2; // all room, all person, active
  readonly isNear: boolean; // active, or beside an active one
}

export class Active {
  private readonly across: number;
  private readonly down: number;
  private readonly low: Float32Array;
  private readonly high: Float32Array;
  private readonly near: Float32Array;
  private readonly work: Float32Array;
  private readonly kinds: Uint8Array;
  private rows: Span[][] = [];
  /** What holds everything near, in pixels of the alpha; `right` and `bottom` are the first outside. Empty: all 0. */
  readonly box = { left: 0, top: 0, right: 0, bottom: 0 };
  private readonly rowOf: Int32Array;
  private readonly starts: Int32Array; // of each cell's columns

  /** For alphas of `width` x `height`, looked at in rows of a larger picture of `fineWidth` x `fineHeight`. */
  constructor(
    private readonly width: number,
    private readonly height: number,
    fineWidth: number,
    fineHeight: number,
  ) {
    this.across = Math.ceil(width / CELL);
    this.down = Math.ceil(height / CELL);
    const cells = this.across * this.down;
    this.low = new Float32Array(cells);
    this.high = new Float32Array(cells);
    this.near = new Float32Array(cells);
    this.work = new Float32Array(cells);
    this.kinds = new Uint8Array(cells);
    this.rowOf = Int32Array.from({ length: fineHeight }, (_, y) => Math.min(this.down - 1, Math.floor((y * height) / fineHeight / CELL)));
    this.starts = Int32Array.from({ length: this.across + 1 }, (_, cell) => Math.min(fineWidth, Math.ceil((cell * CELL * fineWidth) / width)));
    this.starts[this.across] = fineWidth;
  }

  find(alpha: Float32Array): void {
    this.measure(alpha);
    this.judge();
    this.bound();
    this.rows = Array.from({ length: this.down }, (_, row) => this.spansOf(row));
  }

  /** The row `y` of the larger picture, from left to right. */
  spans(y: number): readonly Span[] {
    return this.rows[this.rowOf[y]!]!;
  }

  private measure(alpha: Float32Array): void {
    this.low.fill(1);
    this.high.fill(0);
    for (let y = 0, place = 0; y < this.height; y++) {
      const start = Math.floor(y / CELL) * this.across;
      for (let x = 0; x < this.width; x++, place++) {
        const cell = start + (x >> 2);
        const value = alpha[place]!;
        if (value < this.low[cell]!) this.low[cell] = value;
        if (value > this.high[cell]!) this.high[cell] = value;
      }
    }
  }

  private judge(): void {
    const { low, high, kinds, near } = this;
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

  private spansOf(row: number): Span[] {
    const spans: Span[] = [];
    for (let column = 0; column < this.across; column++) {
      const kind = this.kinds[row * this.across + column] as 0 | 1 | 2;
      const isNear = this.near[row * this.across + column] === 1;
      const [from, to] = [this.starts[column]!, this.starts[column + 1]!];
      const last = spans.at(-1);
      if (last?.kind === kind && last.isNear === isNear) spans[spans.length - 1] = { ...last, to };
      else spans.push({ from, to, kind, isNear });
    }
    return spans;
  }
}
