/** The network in ONNX Runtime, on WebGPU or WebAssembly; loaded only where it is needed. */

import type * as Ort from "onnxruntime-web/wasm";
import type { Fit } from "../matting/fit";
import type { Compute } from "./messages";

/** Runs the model on inputs of one size after another; the last size's session is kept. */
export class OrtRunner {
  private session: Ort.InferenceSession | null = null;
  private size = "";

  private constructor(
    private readonly ort: typeof Ort,
    private readonly model: Uint8Array,
    private readonly compute: Compute,
    readonly words: string,
  ) {}

  static async open(assets: string, model: Uint8Array, compute: Compute, threads: number): Promise<OrtRunner> {
    if (compute === "webgpu") return new OrtRunner(await loadWebgpu(assets), model, compute, "WebGPU");
    const words = threads === 1 ? "ONNX Runtime, 1 thread" : `ONNX Runtime, ${threads} threads`;
    return new OrtRunner(await loadWasm(assets, threads), model, compute, words);
  }

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

  async sessionFor(width: number, height: number): Promise<Ort.InferenceSession> {
    const size = `${width} ${height}`;
    if (this.session !== null && this.size === size) return this.session;
    await this.close();
    // With fixed sizes ONNX Runtime can plan its memory and layouts.
    const freeDimensionOverrides = { batch: 1, height, width };
    this.session = await this.ort.InferenceSession.create(this.model, { executionProviders: [this.compute], freeDimensionOverrides });
    this.size = size;
    return this.session;
  }

  async close(): Promise<void> {
    const session = this.session;
    this.session = null;
    await session?.release();
  }
}

async function loadWasm(assets: string, threads: number): Promise<typeof Ort> {
  const ort = await import("onnxruntime-web/wasm");
  setUp(ort, assets, "ort-wasm-simd-threaded", threads);
  return ort;
}

async function loadWebgpu(assets: string): Promise<typeof Ort> {
  const ort = (await import("onnxruntime-web/webgpu")) as unknown as typeof Ort;
  setUp(ort, assets, "ort-wasm-simd-threaded.asyncify", 1);
  return ort;
}

function setUp(ort: typeof Ort, assets: string, name: string, threads: number): void {
  const folder = assets + FILES.ort;
  ort.env.wasm.wasmPaths = { mjs: `${folder}/${name}.mjs`, wasm: `${folder}/${name}.wasm` };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
}

/** A real one: WebGPU drawn by the processor is slower than WebAssembly on it. */
export async function hasGraphicsCard(): Promise<boolean> {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter !== null && adapter !== undefined && !adapter.info.isFallbackAdapter;
}
