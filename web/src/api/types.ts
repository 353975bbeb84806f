/** The records that the server and the page exchange, as the server's contract has them. */

import type { RLE } from "../mask/rle";

export interface Label {
  id: string;
  name: string;
  colour: string;
  key: string | null;
}

export interface Session {
  person: string | null;
  needs_token: boolean;
  project: string;
  version: string;
  labels: Label[];
  capabilities: { text: boolean; everything: boolean; import: string[]; export: string[] };
  limits: { upload_bytes: number };
  lease_seconds: number;
}

export type Status = "new" | "started" | "done" | "skipped";

export interface ImageRecord {
  id: number;
  name: string;
  width: number;
  height: number;
  status: Status;
  objects: number;
  version: number;
  locked_by: string | null;
  problem: string | null;
}

export type Source = "model" | "brush" | "polygon" | "everything" | "text" | "copy" | "import";

export interface MaskObject {
  id: string;
  label: string | null;
  segmentation: RLE;
  score: number | null;
  source: Source;
  order: number;
}

export type PromptRecord =
  | { kind: "point"; x: number; y: number; label: number }
  | { kind: "box"; box: [number, number, number, number] }
  | { kind: "text"; text: string }
  | { kind: "brush" | "erase" | "polygon" | "mask" };

export type ChangeKind = "put" | "remove" | "undo" | "redo" | "status";

export interface Change {
  id: string;
  kind: ChangeKind;
  object?: MaskObject;
  object_id?: string;
  of?: string;
  status?: Status;
  prompts?: PromptRecord[];
  duration_ms?: number;
}

/** A change as the server remembers it, oldest first. */
export interface PastChange {
  id: string;
  kind: ChangeKind;
  of: string | null;
  person: string | null;
  at: string;
  duration_ms: number | null;
  object_id: string | null;
  undone: boolean;
}

export interface ImageState {
  version: number;
  objects: MaskObject[];
}

export interface ImageQuery {
  offset: number;
  limit: number;
  search: string;
  status: Status | "";
  order: string;
}

export interface ImagePage {
  total: number;
  images: ImageRecord[];
}

export interface SegmentRequest {
  points: [number, number][];
  labels: number[];
  box: [number, number, number, number] | null;
  text: string | null;
  multimask: boolean | null;
  logits: string | null;
}

export interface SegmentedMask {
  segmentation: RLE;
  score: number;
  logits: string | null;
}

export interface EverythingMask {
  segmentation: RLE;
  predicted_iou: number;
  stability_score: number;
  area: number;
  bbox: [number, number, number, number];
}

export interface DecoderPlace {
  url: string;
  state: "ready" | "making" | "unavailable";
  message: string;
}

export interface Job {
  id: string;
  kind: "everything" | "export" | "import";
  state: "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number;
  message: string;
  result: null | Record<string, unknown>;
}
