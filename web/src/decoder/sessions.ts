/** The decoder's graphs in ONNX Runtime: fetched, checked against their hashes, opened on WebGPU or WebAssembly. */

import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-web";
import { checkManifest, DecoderError, type GraphEntry, type Manifest } from "./manifest";
import { sha256 } from "./sha256";

/** More do not make so small a decoder faster. */
const MOST_THREADS = 4;
/** What a GPU may take for its first answer, and for the next. */
const GPU_FIRST_MS = 15_000;
const GPU_MS = 300;

export type Feeds = Record<string, Tensor>;
type Ort = typeof import("onnxruntime-web");

/** What is used of the decoder's graphs; its folder may have more, for other programs. */
const FIRST = ["prepare", "answer", "upscale"] as const;
const USED = [...FIRST, "answer_masks"] as const;
export type GraphName = (typeof USED)[number];

export interface Sessions {
  manifest: Manifest;
  runsOn: "webgpu" | "wasm";
  threads: number;
  Tensor: TensorConstructor;
  run(graph: GraphName, feeds: Feeds): Promise<Feeds>;
  /** Open the graphs that the first click does not need. */
  openRest(): Promise<void>;
}

/**
 * Open the decoder in the folder `url`; ONNX Runtime's own files are in the folder `ort`.
 *
 * `tryOut` runs what a click would. A GPU that fails at it, or is slow, is left for WebAssembly.
 */
export async function openDecoder(url: string, ort: string, tryOut: (sessions: Sessions) => Promise<void>): Promise<Sessions> {
  const manifest = checkManifest(await (await fetchOk(new URL("manifest.json", url))).json());
  const files = new Map<GraphName, ArrayBuffer>();
  await Promise.all(
    USED.map(async (name) => {
      const entry = manifest.graphs[name];
      if (entry) files.set(name, await fetchGraph(url, entry));
    }),
  );
  if (await hasWebGpu()) {
    try {
      const sessions = await open(manifest, new Map(files), await import("onnxruntime-web/jspi"), ort, "webgpu");
      await within(GPU_FIRST_MS, tryOut(sessions)); // shaders are compiled at first use
      await within(GPU_MS, tryOut(sessions));
      return sessions;
    } catch (error) {
      console.warn("WebGPU does not serve the decoder, WebAssembly will", error);
    }
  }
  const sessions = await open(manifest, files, await import("onnxruntime-web/wasm"), ort, "wasm");
  await tryOut(sessions);
  return sessions;
}

function within(ms: number, work: Promise<void>): Promise<void> {
  const late = new Promise<void>((_, fail) => setTimeout(() => fail(new Error(`no answer in ${ms} ms`)), ms));
  return Promise.race([work, late]);
}

async function fetchOk(url: URL): Promise<Response> {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new Error(`${url.pathname} could not be fetched${response ? ` (${response.status})` : ""}.`);
  return response;
}

async function fetchGraph(url: string, entry: GraphEntry): Promise<ArrayBuffer> {
  const bytes = await (await fetchOk(new URL(entry.file, url))).arrayBuffer();
  if ((await sha256(bytes)) !== entry.sha256) {
    throw new DecoderError(`${entry.file} is not the file that the decoder's manifest names: its SHA-256 differs.`);
  }
  return bytes;
}

/** Whether there is a real GPU, and the stack switching that ONNX Runtime's WebGPU build needs. */
async function hasWebGpu(): Promise<boolean> {
  if (!("gpu" in navigator) || !("Suspending" in WebAssembly)) return false;
  try {
    const gpu = navigator.gpu as { requestAdapter(): Promise<{ info?: { isFallbackAdapter?: boolean } } | null> };
    const adapter = await gpu.requestAdapter();
    return adapter !== null && !adapter.info?.isFallbackAdapter;
  } catch {
    return false;
  }
}

async function open(
  manifest: Manifest,
  files: Map<GraphName, ArrayBuffer>,
  runtime: Ort,
  ort: string,
  runsOn: "webgpu" | "wasm",
): Promise<Sessions> {
  const threads = globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  runtime.env.wasm.wasmPaths = ort;
  runtime.env.wasm.numThreads = threads;
  runtime.env.logLevel = "error";
  const options = { executionProviders: [runsOn], graphOptimizationLevel: "all", logSeverityLevel: 3 } as const;
  const sessions = new Map<GraphName, InferenceSession>();
  const ready = async (graph: GraphName): Promise<InferenceSession> => {
    const bytes = files.get(graph);
    if (bytes) sessions.set(graph, await runtime.InferenceSession.create(bytes, options));
    files.delete(graph);
    const session = sessions.get(graph);
    if (!session) throw new DecoderError(`The decoder has no graph "${graph}".`);
    return session;
  };
  for (const graph of FIRST) if (files.has(graph)) await ready(graph);
  return {
    manifest,
    runsOn,
    threads,
    Tensor: runtime.Tensor,
    async openRest() {
      for (const graph of [...files.keys()]) await ready(graph);
    },
    async run(graph, feeds) {
      return (await (await ready(graph)).run(feeds)) as Feeds;
    },
  };
}
