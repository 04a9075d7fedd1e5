/** What the page needs beside its own code: the model, ONNX Runtime's WebAssembly, the sample clip. None is committed here. */

import asc, { type Options } from "assemblyscript/asc";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

const HERE = import.meta.dirname;
const MODELS = join(HERE, "../src/figureground/models");
const MODEL = join(MODELS, "small.onnx");
const SAMPLE = join(HERE, "../.cache/sample.webm");
const ORT = join(HERE, "node_modules/onnxruntime-web");
const ORT_FILES = ["ort-wasm-simd-threaded", "ort-wasm-simd-threaded.asyncify"].flatMap((name) => [`${name}.mjs`, `${name}.wasm`]);

/** Compiled once plain and once with what newer browsers have; `shared`: for memory that several threads share. */
async function compileKernels(names: readonly string[], features: readonly string[], shared: boolean): Promise<Uint8Array> {
  const sources = Object.fromEntries(names.map((name) => [name, readFileSync(join(HERE, "kernels", name), "utf8")]));
  const memory = shared ? { sharedMemory: true, initialMemory: 1, maximumMemory: MOST_PAGES } : {};
  const enable = ["simd", ...features, ...(shared ? ["threads"] : [])];
  const how: Options = { optimizeLevel: 3, enable, noAssert: true, runtime: "stub", importMemory: true, ...memory };
  const { error, binary, stderr } = await asc.compileString(sources, how);
  if (error !== null || binary === null) throw new Error(`${names.join()}: ${stderr.toString()}`);
  return binary;
}

const MOST_PAGES = 65536; // 4 GB, all there can be
const KERNELS = await compileKernels(["kernels.ts", "follow.ts", "parts.ts", "steady.ts", "lay.ts"], [], false);
const LAYERS = {
  layers: [await compileKernels(["network.ts"], ["relaxed-simd"], false), await compileKernels(["network.ts"], [], false)],
  sharedLayers: [await compileKernels(["network.ts"], ["relaxed-simd"], true), await compileKernels(["network.ts"], [], true)],
};

function read(path: string): Uint8Array {
  if (!existsSync(path)) throw new Error(`${path} is absent: run  make web  in the checkout, which makes it`);
  return readFileSync(path);
}

/** Names change with contents, so that a browser may keep what it has. */
function hashed(name: string, content: Uint8Array, suffix: string): string {
  return `assets/${name}-${createHash("sha256").update(content).digest("hex").slice(0, 8)}${suffix}`;
}

const LICENCES = `Figureground: MIT; its model's weights: LICENSE-WEIGHTS in the repository.
In this folder, built in: ONNX Runtime Web (assets/onnxruntime-*, assets/ort.*). Copyright (c) Microsoft Corporation. MIT License:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions: The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE
OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;
const version = (JSON.parse(readFileSync(join(ORT, "package.json"), "utf8")) as { version: string }).version;
const files = {
  root: "../", // from the folder of built code
  model: hashed("small", read(MODEL), ".onnx"),
  kernels: hashed("kernels", KERNELS, ".wasm"),
  layers: LAYERS.layers.map((content) => hashed("layers", content, ".wasm")),
  sharedLayers: LAYERS.sharedLayers.map((content) => hashed("layers", content, ".wasm")),
  sample: hashed("sample", read(SAMPLE), ".webm"),
  ort: `assets/onnxruntime-${version}`,
};

const models = JSON.parse(readFileSync(join(MODELS, "models.json"), "utf8")) as { small: { size: number; sure: number } };
export const defined = { FILES: JSON.stringify(files), MODEL_SIZE: JSON.stringify(models.small.size), MODEL_SURE: JSON.stringify(models.small.sure) };

/** Put them into the build, and the service worker with the list of everything built. */
export function builtFiles(): Plugin {
  return {
    name: "figureground-files",
    generateBundle(_, bundle) {
      const add = (fileName: string, source: string | Uint8Array): void => void this.emitFile({ type: "asset", fileName, source });
      add(files.model, readFileSync(MODEL));
      add(files.sample, readFileSync(SAMPLE));
      add(files.kernels, KERNELS);
      const layers = [...files.layers, ...files.sharedLayers];
      [...LAYERS.layers, ...LAYERS.sharedLayers].forEach((content, one) => add(layers[one]!, content));
      // Under their own names: its threads look for them.
      for (const name of ORT_FILES) add(`${files.ort}/${name}`, readFileSync(join(ORT, "dist", name)));
      add("licences.txt", LICENCES);
      const kept = ["./", "icon.svg", files.model, files.kernels, ...layers, files.sample, ...Object.keys(bundle).filter((name) => name.startsWith("assets/"))];
      const worker = readFileSync(join(HERE, "src/service-worker.js"), "utf8");
      add("service-worker.js", worker.replace("[/* files */]", JSON.stringify(kept)));
    },
  };
}
