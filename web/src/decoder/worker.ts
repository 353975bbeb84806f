/** The decoder's worker: embeddings and prompts in, masks out; one ask after another. */

import { bounds } from "../mask/runs";
import { trace } from "../mask/trace";
import { colourWord, frameColumns, fullMask, paint } from "./enlarge";
import { type Frame, imageFrame } from "./frame";
import { halfToFloat } from "./half";
import { checkFits, DecoderError, elements } from "./manifest";
import { bestOf, type ObjectPrompt, tokens, wantedMasks } from "./prompt";
import type { Answered, Ask, Completed, Embedding, Loaded, Message, Replies, Reply } from "./protocol";
import { type Feeds, openDecoder, type Sessions } from "./sessions";

interface OpenImage {
  frame: Frame;
  tensors: Feeds;
}

interface KeptAnswer {
  frame: Frame;
  logits: Float32Array[];
  columns: (Float32Array | undefined)[];
}

/** An answer takes under 1 MB. Which images are kept the page decides. */
const ANSWERS_KEPT = 12;

let sessions: Sessions | null = null;
const images = new Map<string, OpenImage>();
const answers = new Map<number, KeptAnswer>();
let lastAnswer = 0;

function opened(): Sessions {
  if (!sessions) throw new DecoderError("The decoder is not loaded.");
  return sessions;
}

async function load(ask: Extract<Ask, { kind: "load" }>): Promise<Loaded> {
  const { manifest, runsOn, threads } = await openDecoder(ask.url, ask.ort, tryOut);
  return { model: manifest.model, weights: manifest.weights, maskSize: manifest.mask_size, runsOn, threads };
}

/** The first run of a graph also lays out its memory; better before a person waits for it. */
async function tryOut(opened: Sessions): Promise<void> {
  sessions = opened;
  const size = opened.manifest.embedding.reduce((sum, entry) => sum + elements(entry.shape), 0);
  const embedding = { bytes: new ArrayBuffer(2 * size), model: null, weights: null };
  await openImage({ kind: "image", key: "", height: 8, width: 8, embedding });
  await decode("", { points: [{ x: 4, y: 4, label: 1 }], box: null, logits: null });
  images.delete("");
}

async function openImage(ask: Extract<Ask, { kind: "image" }>): Promise<null> {
  const { manifest } = opened();
  checkFits(manifest, ask.embedding.model, ask.embedding.weights);
  const tensors = readEmbedding(ask.embedding);
  if (manifest.graphs.prepare) {
    Object.assign(tensors, await opened().run("prepare", pick(tensors, manifest.graphs.prepare.inputs)));
  }
  images.set(ask.key, { frame: imageFrame(ask.height, ask.width, manifest.frame), tensors });
  return null;
}

function readEmbedding(embedding: Embedding): Feeds {
  const { manifest, Tensor } = opened();
  const size = manifest.embedding.reduce((sum, entry) => sum + elements(entry.shape), 0);
  if (embedding.bytes.byteLength !== 2 * size) {
    throw new DecoderError(`The image's embedding has ${embedding.bytes.byteLength} bytes, the decoder takes ${2 * size}.`);
  }
  const tensors: Feeds = {};
  let at = 0;
  for (const { name, shape } of manifest.embedding) {
    const count = elements(shape);
    tensors[name] = new Tensor("float32", halfToFloat(new Uint16Array(embedding.bytes, 2 * at, count)), shape);
    at += count;
  }
  return tensors;
}

function pick(tensors: Feeds, names: string[]): Feeds {
  const chosen: Feeds = {};
  for (const name of names) {
    // A graph without "prepare" sees the features under the name of what "prepare" would have made.
    const tensor = tensors[name] ?? (name === "image_0" ? tensors["features"] : undefined);
    if (tensor) chosen[name] = tensor;
  }
  return chosen;
}

/** Logits of the wanted masks, and their scores. */
async function decode(key: string, prompt: ObjectPrompt): Promise<{ frame: Frame; logits: Float32Array[]; scores: number[] }> {
  const { manifest, Tensor, run } = opened();
  const image = images.get(key);
  if (!image) throw new Error("The image's embedding is not there.");
  const found = tokens(prompt, image.frame);
  const count = found.labels.length;
  const side = manifest.mask_size;
  const given: Feeds = {
    ...image.tensors,
    coords: new Tensor("float32", found.coords, [1, count, 2]),
    labels: new Tensor("int64", found.labels, [1, count]),
    present: new Tensor("bool", found.present, [1, count]),
  };
  if (prompt.logits) {
    given["masks"] = new Tensor("float32", prompt.logits, [1, 1, side, side]);
    given["has_mask"] = new Tensor("bool", Uint8Array.of(1), [1]);
  }
  const graph = prompt.logits ? "answer_masks" : "answer";
  const answered = await run(graph, pick(given, manifest.graphs[graph].inputs));
  const wanted = wantedMasks(prompt);
  const all = answered["weights"]!.data as Float32Array;
  const width = all.length / 4;
  const weights = all.slice(wanted[0]! * width, (wanted.at(-1)! + 1) * width);
  const upscaled = await run("upscale", {
    ...pick(image.tensors, manifest.graphs.upscale.inputs),
    cells: answered["cells"]!,
    weights: new Tensor("float32", weights, [1, wanted.length, width]),
  });
  const logits = upscaled["logits"]!.data as Float32Array;
  const iou = answered["iou"]!.data as Float32Array;
  return {
    frame: image.frame,
    logits: wanted.map((_, i) => logits.slice(i * side * side, (i + 1) * side * side)),
    scores: wanted.map((mask) => iou[mask]!),
  };
}

async function answer(ask: Extract<Ask, { kind: "answer" }>): Promise<Answered> {
  const started = performance.now();
  const { frame, logits, scores } = await decode(ask.key, ask.prompt);
  const decodeMs = performance.now() - started;
  const best = bestOf(scores);
  const kept: KeptAnswer = { frame, logits, columns: [] };
  answers.set(++lastAnswer, kept);
  answers.delete(lastAnswer - ANSWERS_KEPT);
  return { answer: lastAnswer, scores, best, picture: await picture(kept, best, ask.colour), decodeMs };
}

async function complete(ask: Extract<Ask, { kind: "complete" }>): Promise<Completed> {
  const kept = answers.get(ask.answer);
  const logits = kept?.logits[ask.index];
  if (!kept || !logits) throw new Error("The answer is no longer kept.");
  const runs = fullMask(columnsOf(kept, ask.index), kept.frame, opened().manifest.mask_threshold);
  const rings = bounds(runs) ? trace(runs) : [];
  const { height, width, edges } = runs;
  return { height, width, edges, rings, logits, picture: await picture(kept, ask.index, ask.colour) };
}

function columnsOf(kept: KeptAnswer, index: number): Float32Array {
  return (kept.columns[index] ??= frameColumns(kept.logits[index]!, opened().manifest.mask_size, kept.frame));
}

function picture(kept: KeptAnswer, index: number, colour: string): Promise<ImageBitmap> {
  const { frame } = kept;
  const pixels = paint(columnsOf(kept, index), frame, opened().manifest.mask_threshold, colourWord(colour));
  return createImageBitmap(new ImageData(pixels, frame.w, frame.h));
}

async function perform(ask: Ask): Promise<Replies[Ask["kind"]]> {
  switch (ask.kind) {
    case "load":
      return load(ask);
    case "image":
      return openImage(ask);
    case "forget":
      images.delete(ask.key);
      return null;
    case "answer":
      return answer(ask);
    case "complete":
      return complete(ask);
  }
}

function transfers(value: Replies[Ask["kind"]]): Transferable[] {
  if (!value || !("picture" in value)) return [];
  if (!("edges" in value)) return [value.picture];
  return [value.picture, value.edges.buffer, ...value.rings.map((ring) => ring.buffer)];
}

/** The rest of the decoder is opened once an image is there and nobody has asked for this long. */
const QUIET_MS = 400;
let quiet: ReturnType<typeof setTimeout> | undefined;

function openRestWhenQuiet(): void {
  clearTimeout(quiet);
  if (images.size) quiet = setTimeout(() => (queue = queue.then(() => sessions?.openRest()).catch(console.error)), QUIET_MS);
}

// ONNX Runtime runs one graph at a time, so asks wait for one another here.
let queue: Promise<void> = Promise.resolve();
self.onmessage = (event: MessageEvent<Message>): void => {
  const { id, ask } = event.data;
  clearTimeout(quiet);
  queue = queue.then(async () => {
    try {
      const value = await perform(ask);
      const reply: Reply = { id, value };
      self.postMessage(reply, { transfer: transfers(value) });
    } catch (error) {
      const reply: Reply = { id, error: error instanceof Error ? error.message : String(error), refused: error instanceof DecoderError };
      self.postMessage(reply);
    }
    openRestWhenQuiet();
  });
};
