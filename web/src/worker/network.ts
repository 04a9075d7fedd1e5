/** The network in this browser: on kernels of our own, or in ONNX Runtime where WebGPU is faster or the model is beyond them. */

import { Engine } from "../network/engine";
import { readOnnx } from "../network/onnx";
import { fitOf, type Fit } from "../matting/fit";
import type { Fault, Opening } from "./messages";
import { hasGraphicsCard, OrtRunner } from "./ort";

const MOST_THREADS = 4; // a small network gains nothing from more
const USUAL = fitOf(1280, 720); // what most cameras give
const RUNS = 5; // of each, to see which is faster

/** A fault that the page explains. */
export class Unusable extends Error {
  constructor(
    readonly fault: Fault,
    detail: string,
  ) {
    super(detail);
  }
}

/** What computes. */
export interface Runner {
  readonly words: string;
  /** `input`: RGB, (inputHeight, inputWidth); the result, of the same size, is new. */
  run(input: Uint8Array, fit: Fit): Promise<Float32Array>;
  close(): Promise<void>;
}

export class Network {
  private constructor(
    private readonly runner: Runner,
    private readonly model: Uint8Array,
    readonly kernels: WebAssembly.Module,
  ) {}

  static async open(opening: Opening): Promise<Network> {
    const threads = threadsFor(opening);
    const [model, kernels, layers] = await Promise.all([
      fetchModel(opening.assets),
      fetchKernels(opening.assets, [FILES.kernels]),
      fetchKernels(opening.assets, threads > 1 ? FILES.sharedLayers : FILES.layers),
    ]);
    const own = opening.compute === "webgpu" ? null : openOwn(layers, model, threads);
    const runner = own ?? (await openOrt(opening, model, threads));
    return new Network(runner, model, kernels);
  }

  get words(): string {
    return this.runner.words;
  }

  run(input: Uint8Array, fit: Fit): Promise<Float32Array> {
    return this.runner.run(input, fit);
  }

  close(): Promise<void> {
    return this.runner.close();
  }

  /** The one on the graphics card, where there is one that takes less than `milliseconds` for this size; else null. */
  async faster(opening: Opening, fit: Fit, milliseconds: number): Promise<Network | null> {
    if (opening.compute !== null || !(await hasGraphicsCard())) return null;
    try {
      const other = new Network(await OrtRunner.open(opening.assets, this.model, "webgpu", 1), this.model, this.kernels);
      if ((await other.timeOf(fit)) < milliseconds) return other;
      await other.close();
    } catch {
      // No reason to trouble anybody: what runs goes on running.
    }
    return null;
  }

  private async timeOf(fit: Fit): Promise<number> {
    const input = new Uint8Array(3 * fit.inputWidth * fit.inputHeight);
    await this.run(input, fit); // the first one prepares what the others use
    const times: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const begun = performance.now();
      await this.run(input, fit);
      times.push(performance.now() - begun);
    }
    return Math.min(...times);
  }
}

/** Null where the model has something that our kernels do not know: ONNX Runtime does it then. */
function openOwn(layers: WebAssembly.Module, model: Uint8Array, threads: number): Runner | null {
  let engine: Engine;
  try {
    engine = new Engine(layers, readOnnx(model), threads);
    engine.of(USUAL.inputWidth, USUAL.inputHeight); // what is wrong is known now, and the first frame need not wait
  } catch {
    return null;
  }
  return {
    words: inWords(threads),
    run: async (input, fit) => engine.run(input, fit.inputWidth, fit.inputHeight),
    close: async () => engine.close(),
  };
}

async function openOrt(opening: Opening, model: Uint8Array, threads: number): Promise<Runner> {
  try {
    const runner = await OrtRunner.open(opening.assets, model, opening.compute ?? "wasm", threads);
    await runner.sessionFor(USUAL.inputWidth, USUAL.inputHeight);
    return runner;
  } catch (error) {
    throw new Unusable("model", String(error));
  }
}

async function fetchFile(address: string): Promise<ArrayBuffer> {
  const answer = await fetch(address).catch((error: unknown) => {
    throw new Unusable("model", String(error));
  });
  if (!answer.ok) throw new Unusable("model", `${address}: ${answer.status} ${answer.statusText}`);
  return answer.arrayBuffer();
}

const fetchModel = async (assets: string): Promise<Uint8Array> => new Uint8Array(await fetchFile(assets + FILES.model));

/** The first of these files that this browser understands. */
async function fetchKernels(assets: string, [best, ...others]: readonly string[]): Promise<WebAssembly.Module> {
  const bytes = await fetchFile(assets + best);
  if (others.length > 0 && !WebAssembly.validate(bytes)) return fetchKernels(assets, others);
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new Unusable("wasm", String(error));
  }
}

/** Half the cores: the browser itself, the camera and the call need the others. */
function threadsFor(opening: Opening): number {
  if (!crossOriginIsolated) return 1;
  return opening.threads ?? Math.min(MOST_THREADS, Math.max(1, navigator.hardwareConcurrency >> 1));
}

function inWords(threads: number): string {
  return threads === 1 ? "WebAssembly, 1 thread" : `WebAssembly, ${threads} threads`;
}
