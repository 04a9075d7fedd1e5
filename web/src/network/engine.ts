/** The network on kernels of our own, for inputs of one size after another. */

import { lead, placesFor, type Kernels, type Work } from "./crew";
import type { Helping } from "./helper";
import type { Graph } from "./onnx";
import { planFor, type Plan } from "./plan";

const PAGE = 65536;

export class Engine {
  private ready: { width: number; height: number; run: Sized } | null = null;

  /** `module`: kernels/network.ts, compiled for shared memory where there are several threads. */
  constructor(
    private readonly module: WebAssembly.Module,
    private readonly graph: Graph,
    private readonly threads: number,
  ) {}

  /** `input`: RGB, (height, width); the result, of the same size, is new. */
  run(input: Uint8Array, width: number, height: number): Float32Array {
    return this.of(width, height).run(input);
  }

  /** Get ready for a size. Throws `Unknown` where the graph is beyond it. */
  of(width: number, height: number): Sized {
    if (this.ready?.width === width && this.ready.height === height) return this.ready.run;
    this.close();
    this.ready = { width, height, run: new Sized(this.module, planFor(this.graph, width, height), this.threads) };
    return this.ready.run;
  }

  close(): void {
    this.ready?.run.close();
    this.ready = null;
  }
}

class Sized {
  private readonly kernels: Kernels;
  private readonly work: Work;
  private readonly input: Uint8Array;
  private readonly output: Float32Array;
  private readonly helpers: readonly Worker[];

  constructor(module: WebAssembly.Module, { calls, layout, input, output }: Plan, threads: number) {
    const shared = threads > 1;
    const places = layout.take(4 * placesFor(calls));
    const pages = Math.ceil(layout.bytes / PAGE);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    layout.fill(memory.buffer);
    this.kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
    this.work = { calls, threads, state: new Int32Array(memory.buffer, places, placesFor(calls)) };
    this.input = new Uint8Array(memory.buffer, input.at, input.bytes);
    this.output = new Float32Array(memory.buffer, output.at, output.bytes / 4);
    const helping: Helping = { module, memory, work: this.work };
    this.helpers = Array.from({ length: threads - 1 }, () => {
      const helper = new Worker(new URL("./helper.ts", import.meta.url), { type: "module", name: "figureground helper" });
      helper.postMessage(helping);
      return helper;
    });
  }

  run(input: Uint8Array): Float32Array {
    this.input.set(input);
    if (this.helpers.length > 0) lead(this.work, this.kernels);
    else for (const { kernel, rows, values } of this.work.calls) this.kernels[kernel]!(0, rows, ...values);
    return this.output.slice();
  }

  close(): void {
    for (const helper of this.helpers) helper.terminate();
  }
}
