/** The loops over pixels as WebAssembly: kernels/ compiled, and memory laid out for it. */

import { axis } from "./planes";

type Call = (...values: number[]) => number; // what gives nothing gives undefined

/** What the files of kernels/ export that are compiled together. */
type Edge = "mean" | "fit" | "cells" | "look" | "pack" | "follow" | "nearby" | "cut" | "input";
type Part = "crisp" | "doubt" | "fill" | "drop";
type Lay = "over" | "stretch";
type Steady = "around" | "halve" | "compare" | "median" | "fade" | "remember" | "enlarge" | "differ" | "blend";

/** Something in the kernels' memory: its address for them, and as an array for everybody else. */
export interface Placed<T> {
  readonly at: number;
  readonly view: T;
}

const BEGIN = 1024; // below is the kernels' own
const PAGE = 65536;

export class Kernels {
  readonly run: Readonly<Record<Edge | Part | Steady | Lay, Call>>;
  private readonly memory: WebAssembly.Memory;
  private next = BEGIN;

  /** With memory of so many bytes, which does not grow: arrays on it would be lost. */
  constructor(module: WebAssembly.Module, bytes: number) {
    this.memory = new WebAssembly.Memory({ initial: Math.ceil((bytes + BEGIN) / PAGE) + 1 });
    this.run = new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports as Record<Edge | Part | Steady | Lay, Call>;
  }

  floats(length: number): Placed<Float32Array> {
    const at = this.take(4 * length);
    return { at, view: new Float32Array(this.memory.buffer, at, length) };
  }

  ints(length: number): Placed<Int32Array> {
    const at = this.take(4 * length);
    return { at, view: new Int32Array(this.memory.buffer, at, length) };
  }

  bytes(length: number): Placed<Uint8ClampedArray<ArrayBuffer>> {
    const at = this.take(length);
    return { at, view: new Uint8ClampedArray(this.memory.buffer, at, length) };
  }

  shorts(length: number): Placed<Int16Array> {
    const at = this.take(2 * length);
    return { at, view: new Int16Array(this.memory.buffer, at, length) };
  }

  /** The address of an axis as the kernels read it. */
  axis(from: number, to: number): number {
    const { first, second, share } = axis(from, to);
    const at = this.take(12 * to);
    new Int32Array(this.memory.buffer, at, to).set(first);
    new Int32Array(this.memory.buffer, at + 4 * to, to).set(second);
    new Float32Array(this.memory.buffer, at + 8 * to, to).set(share);
    return at;
  }

  private take(bytes: number): number {
    const at = this.next;
    this.next += Math.ceil(bytes / 16) * 16;
    if (this.next > this.memory.buffer.byteLength) throw new Error("the kernels' memory is laid out too small");
    return at;
  }
}
