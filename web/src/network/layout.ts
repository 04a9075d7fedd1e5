/** Where everything lies in the memory of kernels/network.ts. */

export type Pads = readonly [top: number, left: number, bottom: number, right: number];

/** (height, width, channels) float32 inside of a border of zeros, which nobody writes to. */
export interface Plane {
  readonly at: number; // of its first pixel
  readonly row: number; // bytes from one of its rows to the next
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

const BEGIN = 1024; // below is the kernels' own
const LINE = 64; // bytes of a line of the processor's caches

export class Layout {
  private next = BEGIN;
  private readonly kept: { at: number; values: Float32Array }[] = [];

  /** How many bytes it takes, all in all. */
  get bytes(): number {
    return this.next;
  }

  take(bytes: number): number {
    const at = this.next;
    this.next += Math.ceil(bytes / LINE) * LINE;
    return at;
  }

  /** A place for numbers that are there from the beginning. */
  keep(values: Float32Array): number {
    const at = this.take(4 * values.length);
    this.kept.push({ at, values });
    return at;
  }

  plane(height: number, width: number, channels: number, [top, left, bottom, right]: Pads): Plane {
    const row = 4 * channels * (left + width + right);
    const at = this.take(row * (top + height + bottom)) + row * top + 4 * channels * left;
    return { at, row, height, width, channels };
  }

  /** Write what is kept. */
  fill(memory: ArrayBufferLike): void {
    for (const { at, values } of this.kept) new Float32Array(memory, at, values.length).set(values);
  }
}
