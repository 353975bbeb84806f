/** How the page is built: into the Python package, with ONNX Runtime's files beside it and nothing from elsewhere. */

import { copyFileSync, createReadStream, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const here = dirname(fileURLToPath(import.meta.url));
const ort = join(here, "node_modules/onnxruntime-web");
const { version } = JSON.parse(readFileSync(join(ort, "package.json"), "utf8")) as { version: string };
/** The version is part of the name, so browsers may keep the files for ever. */
const ORT_FOLDER = `assets/ort-${version}/`;
/** WebAssembly for all browsers, and the one with WebGPU for those that can switch stacks. */
const ORT_FILES = ["ort-wasm-simd-threaded", "ort-wasm-simd-threaded.jspi"].flatMap((name) => [`${name}.mjs`, `${name}.wasm`]);

const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self' blob:",
  "worker-src 'self'",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'none'",
].join("; ");

function ortFiles(): Plugin {
  return {
    name: "ort-files",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const file = ORT_FILES.find((name) => request.url?.split("?")[0]?.endsWith(ORT_FOLDER + name));
        if (!file) return next();
        response.setHeader("Content-Type", file.endsWith(".mjs") ? "text/javascript" : "application/wasm");
        createReadStream(join(ort, "dist", file)).pipe(response);
      });
    },
    writeBundle({ dir }) {
      const folder = join(dir!, ORT_FOLDER);
      mkdirSync(folder, { recursive: true });
      for (const file of ORT_FILES) copyFileSync(join(ort, "dist", file), join(folder, file));
    },
  };
}

/** Static sites send no headers, so the page says itself what it may do. */
function contentPolicy(): Plugin {
  return {
    name: "content-policy",
    apply: "build",
    transformIndexHtml: () => [
      { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
    ],
  };
}

export default defineConfig({
  base: "./",
  plugins: [ortFiles(), contentPolicy()],
  define: { __ORT_FOLDER__: JSON.stringify(ORT_FOLDER) },
  // ONNX Runtime then finds its glue in its own files, not in the bundle.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "development|production"] },
  build: {
    target: "es2022",
    outDir: "../src/anymask/annotator/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  server: { proxy: { "/api": process.env["ANYMASK_SERVER"] ?? "http://127.0.0.1:8000", "/decoders": process.env["ANYMASK_SERVER"] ?? "http://127.0.0.1:8000" } },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
