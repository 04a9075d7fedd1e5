import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/figureground/web/static",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's Content-Security-Policy lets no data: address through
    modulePreload: { polyfill: false },
  },
});
