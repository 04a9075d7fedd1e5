/** A thread of the engine: a worker that does nothing but this. */

import { help, type Kernels, type Work } from "./crew";

export interface Helping {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly work: Work;
}

self.onmessage = ({ data: { module, memory, work } }: MessageEvent<Helping>): void => {
  help(work, new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels);
};
