/** The network in this browser: ONNX Runtime on WebAssembly, or on WebGPU where that is there and faster. */

import type * as Ort from "onnxruntime-web/wasm";
import type { Fit } from "../matting/fit";
import type { Compute, Fault, Opening } from "./messages";

const MOST_THREADS = 4; // a small network gains nothing from more
const USUAL = [320, 192] as const; // the input for 16:9
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

/** Runs the model on inputs of one size after another; the last size's session is kept. */
export class Network {
  private session: Ort.InferenceSession | null = null;
  private size = "";

  private constructor(
    private readonly ort: typeof Ort,
    private readonly model: Uint8Array,
    readonly kernels: WebAssembly.Module,
    private readonly compute: Compute,
    readonly words: string,
  ) {}

  static async open(opening: Opening): Promise<Network> {
    const [model, kernels, wasm] = await Promise.all([fetchModel(opening.assets), fetchKernels(opening.assets), openWasm(opening)]);
    const network =
      opening.compute === "webgpu"
        ? new Network(await openWebgpu(opening), model, kernels, "webgpu", "WebGPU")
        : new Network(wasm, model, kernels, "wasm", inWords(wasm.env.wasm.numThreads ?? 1));
    await network.sessionFor(...USUAL); // what is wrong is known now, and the first frame need not wait
    return network;
  }

  /** The one on the graphics card, where there is one that takes less than `milliseconds` for this size; else null. */
  async faster(opening: Opening, fit: Fit, milliseconds: number): Promise<Network | null> {
    if (opening.compute !== null || !(await hasGraphicsCard())) return null;
    try {
      const other = new Network(await openWebgpu(opening), this.model, this.kernels, "webgpu", "WebGPU");
      if ((await other.timeOf(fit)) < milliseconds) return other;
      await other.close();
    } catch {
      // No reason to trouble anybody: what runs goes on running.
    }
    return null;
  }

  /** `input`: RGB, (inputHeight, inputWidth); the result, of the same size, is new. */
  async run(input: Uint8Array, fit: Fit): Promise<Float32Array> {
    const { inputWidth, inputHeight } = fit;
    const session = await this.sessionFor(inputWidth, inputHeight);
    const image = new this.ort.Tensor("uint8", input, [1, inputHeight, inputWidth, 3]);
    const { alpha } = await session.run({ image });
    if (alpha === undefined || alpha.size !== inputWidth * inputHeight) throw new Error("the network's output has another shape");
    const result = (await alpha.getData()) as Float32Array;
    alpha.dispose();
    return result;
  }

  async close(): Promise<void> {
    const session = this.session;
    this.session = null;
    await session?.release();
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

  private async sessionFor(width: number, height: number): Promise<Ort.InferenceSession> {
    const size = `${width} ${height}`;
    if (this.session !== null && this.size === size) return this.session;
    await this.close();
    // With fixed sizes ONNX Runtime can plan its memory and layouts.
    const freeDimensionOverrides = { batch: 1, height, width };
    try {
      this.session = await this.ort.InferenceSession.create(this.model, { executionProviders: [this.compute], freeDimensionOverrides });
    } catch (error) {
      throw new Unusable("model", String(error));
    }
    this.size = size;
    return this.session;
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

async function fetchKernels(assets: string): Promise<WebAssembly.Module> {
  const bytes = await fetchFile(assets + FILES.kernels);
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new Unusable("wasm", String(error));
  }
}

async function openWasm(opening: Opening): Promise<typeof Ort> {
  const ort = await import("onnxruntime-web/wasm");
  setUp(ort, opening, "ort-wasm-simd-threaded");
  return ort;
}

async function openWebgpu(opening: Opening): Promise<typeof Ort> {
  const ort = (await import("onnxruntime-web/webgpu")) as unknown as typeof Ort;
  setUp(ort, opening, "ort-wasm-simd-threaded.asyncify");
  return ort;
}

function setUp(ort: typeof Ort, opening: Opening, name: string): void {
  const folder = opening.assets + FILES.ort;
  ort.env.wasm.wasmPaths = { mjs: `${folder}/${name}.mjs`, wasm: `${folder}/${name}.wasm` };
  ort.env.wasm.numThreads = crossOriginIsolated ? (opening.threads ?? threadsHere()) : 1;
  ort.env.logLevel = "error";
}

/** Half the cores: the browser itself, the camera and the call need the others. */
function threadsHere(): number {
  return Math.min(MOST_THREADS, Math.max(1, navigator.hardwareConcurrency >> 1));
}

function inWords(threads: number): string {
  return threads === 1 ? "WebAssembly, 1 thread" : `WebAssembly, ${threads} threads`;
}

/** A real one: WebGPU drawn by the processor is slower than WebAssembly on it. */
async function hasGraphicsCard(): Promise<boolean> {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter !== null && adapter !== undefined && !adapter.info.isFallbackAdapter;
}
