import { defaultClientConditions, defineConfig } from "vite";
import { builtFiles, defined } from "./build-files.ts";

export default defineConfig({
  base: "./",
  define: defined,
  // Without WebAssembly in it: that is fetched from a file of its own.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  plugins: [builtFiles()],
  worker: { format: "es" },
  build: {
    outDir: "../src/figureground/web/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the page's Content-Security-Policy lets no data: address through
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      input: { index: "index.html", module: "src/module/index.ts" },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: (chunk) => (chunk.name === "module" ? "module.js" : "assets/[name]-[hash].js") },
    },
  },
});
