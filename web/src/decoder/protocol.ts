/** What the page and the decoder's worker say to each other. */

import type { ObjectPrompt } from "./prompt";

export interface Embedding {
  bytes: ArrayBuffer;
  model: string | null;
  weights: string | null;
}

export type Ask =
  | { kind: "load"; url: string; ort: string }
  | { kind: "image"; key: string; height: number; width: number; embedding: Embedding }
  | { kind: "forget"; key: string }
  | { kind: "answer"; key: string; prompt: ObjectPrompt; colour: string }
  | { kind: "complete"; answer: number; index: number; colour: string };

export interface Loaded {
  model: string;
  weights: string;
  maskSize: number;
  runsOn: "webgpu" | "wasm";
  threads: number;
}

/** The best mask of an answer as a picture of the model frame; scores are those of all its masks. */
export interface Answered {
  answer: number;
  scores: number[];
  best: number;
  picture: ImageBitmap;
  decodeMs: number;
}

export interface Completed {
  height: number;
  width: number;
  edges: Uint32Array;
  rings: Float64Array[];
  logits: Float32Array;
  picture: ImageBitmap;
}

export interface Replies {
  load: Loaded;
  image: null;
  forget: null;
  answer: Answered;
  complete: Completed;
}

export type Message = { id: number; ask: Ask };
export type Reply = { id: number; value: Replies[Ask["kind"]] } | { id: number; error: string; refused: boolean };
