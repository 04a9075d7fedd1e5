/**
 * Where an alpha is neither 0 nor 1 all around: only there edges are sought and pixels mixed.
 *
 * The alpha is looked at in cells of 8 x 8 pixels. A cell is quiet where it and the eight around it are all room or all
 * person; what the guided filter makes of it is then the same, for the filter reaches less far than a cell.
 */

const CELL = 8;
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
  private readonly kinds: Uint8Array;
  private rows: Span[][] = [];
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
    this.kinds = new Uint8Array(cells);
    this.rowOf = Int32Array.from({ length: fineHeight }, (_, y) => Math.min(this.down - 1, Math.floor((y * height) / fineHeight / CELL)));
    this.starts = Int32Array.from({ length: this.across + 1 }, (_, cell) => Math.min(fineWidth, Math.ceil((cell * CELL * fineWidth) / width)));
    this.starts[this.across] = fineWidth;
  }

  find(alpha: Float32Array): void {
    this.measure(alpha);
    this.judge();
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
        const cell = start + (x >> 3);
        const value = alpha[place]!;
        if (value < this.low[cell]!) this.low[cell] = value;
        if (value > this.high[cell]!) this.high[cell] = value;
      }
    }
  }

  private judge(): void {
    for (let row = 0; row < this.down; row++) {
      for (let column = 0; column < this.across; column++) {
        let low = 1;
        let high = 0;
        this.around(row, column, (cell) => {
          low = Math.min(low, this.low[cell]!);
          high = Math.max(high, this.high[cell]!);
        });
        this.kinds[row * this.across + column] = high < NEARLY ? 0 : low > 1 - NEARLY ? 1 : 2;
      }
    }
  }

  private around(row: number, column: number, visit: (cell: number) => void): void {
    for (let y = Math.max(0, row - 1); y <= Math.min(this.down - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(this.across - 1, column + 1); x++) visit(y * this.across + x);
    }
  }

  private spansOf(row: number): Span[] {
    const spans: Span[] = [];
    for (let column = 0; column < this.across; column++) {
      const kind = this.kinds[row * this.across + column] as 0 | 1 | 2;
      let isNear = false;
      this.around(row, column, (cell) => (isNear ||= this.kinds[cell] === 2));
      const [from, to] = [this.starts[column]!, this.starts[column + 1]!];
      const last = spans.at(-1);
      if (last?.kind === kind && last.isNear === isNear) spans[spans.length - 1] = { ...last, to };
      else spans.push({ from, to, kind, isNear });
    }
    return spans;
  }
}
