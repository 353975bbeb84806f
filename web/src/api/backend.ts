/** What the page needs of whoever keeps the images and the objects: a server, or the browser itself. */

import type { Embedding } from "../decoder/protocol";
import type {
  Change,
  DecoderPlace,
  EverythingMask,
  ImagePage,
  ImageQuery,
  ImageRecord,
  ImageState,
  Job,
  Label,
  MaskObject,
  PastChange,
  SegmentedMask,
  SegmentRequest,
  Session,
} from "./types";

/** Where the pixels of an image come from: a small picture of all of it, and finer parts. */
export interface Picture {
  preview: string;
  /** tile x, y of the image at 1/2^level */
  tile: ((level: number, x: number, y: number) => string) | null;
  /** the image as one file, where there are no tiles */
  whole: string | null;
}

export interface Follow {
  onJob: (job: Job) => void;
  signal: AbortSignal;
}

export interface Exported {
  url: string;
  name: string;
}

export interface Backend {
  /** whether saving can fail for want of a connection */
  readonly remote: boolean;
  session(): Promise<Session>;
  login(name: string, token: string): Promise<Session>;
  logout(): Promise<void>;
  putLabel(label: Label): Promise<void>;
  deleteLabel(id: string): Promise<void>;
  images(query: ImageQuery, signal?: AbortSignal): Promise<ImagePage>;
  image(id: number, signal?: AbortSignal): Promise<{ image: ImageRecord; objects: MaskObject[] }>;
  upload(file: File): Promise<ImageRecord>;
  thumbnail(image: ImageRecord): string;
  picture(image: ImageRecord): Picture;
  embedding(image: ImageRecord, signal?: AbortSignal): Promise<Embedding>;
  decoder(): Promise<DecoderPlace>;
  segment(id: number, request: SegmentRequest, signal?: AbortSignal): Promise<SegmentedMask[]>;
  everything(id: number, follow: Follow): Promise<EverythingMask[]>;
  lease(id: number): Promise<{ until: string; version: number }>;
  release(id: number): void;
  change(id: number, baseVersion: number, changes: Change[]): Promise<ImageState>;
  changes(id: number): Promise<PastChange[]>;
  export(format: string, only: "all" | "done", follow: Follow): Promise<Exported>;
  import(file: File, format: string, follow: Follow): Promise<Record<string, unknown>>;
}
