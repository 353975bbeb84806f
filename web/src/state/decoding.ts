/** Answers to prompts, from the decoder in this browser where it runs, from the server where it does not. */

import { signal } from "@preact/signals";
import type { Backend } from "../api/backend";
import { isAbort, OfflineError } from "../api/http";
import type { DecoderPlace, ImageRecord } from "../api/types";
import { DecoderClient, RefusedError } from "../decoder/client";
import { base64ToLogits, logitsToBase64 } from "../decoder/half";
import { bestOf, isAmbiguous, type ObjectPrompt, promptKey } from "../decoder/prompt";
import type { Loaded } from "../decoder/protocol";
import { Outline, outlineOf } from "./outline";
import { decoded } from "./timing";

export interface Mask {
  outline: Outline;
  /** what the next click on the object sees; null where the answer had none */
  logits: Float32Array | null;
  picture: ImageBitmap | null;
}

export interface Answer {
  scores: number[];
  best: number;
  /** the best mask at once, small; null where the whole mask is there already */
  picture: ImageBitmap | null;
  complete(index: number): Promise<Mask>;
}

export type DecoderState =
  | { kind: "starting" | "loading" | "making" | "server" | "failed"; message: string }
  | { kind: "ready"; message: string; loaded: Loaded };

const ASK_AGAIN_MS = 2000;
/** of images whose embeddings the decoder has; one takes up to 16 MB */
const IMAGES_KEPT = 3;

export class Decoding {
  readonly state = signal<DecoderState>({ kind: "starting", message: "" });
  /** the image whose embedding the decoder has */
  readonly readyImage = signal<number | null>(null);
  private client: DecoderClient | null = null;
  private isStarting = false;
  private readonly loaded = later<DecoderClient>();
  private readonly embedded = new Map<number, Promise<void>>();
  private preview: { key: string; answer: Promise<Answer> } | null = null;

  constructor(
    private readonly backend: Backend,
    private readonly newWorker: () => Worker,
    private readonly ortUrl: string,
  ) {
    this.loaded.promise.catch(() => undefined); // said in `state`
  }

  /** Load the decoder; while the server still makes it, ask again. */
  async start(): Promise<void> {
    if (this.isStarting) return;
    this.isStarting = true;
    try {
      const place = await this.place();
      if (place.state !== "ready") {
        this.state.value = { kind: "server", message: place.message };
        this.loaded.reject(new Error(place.message));
        return;
      }
      this.state.value = { kind: "loading", message: "" };
      const client = new DecoderClient(this.newWorker());
      const loaded = await client.load(place.url, this.ortUrl);
      this.client = client;
      this.state.value = { kind: "ready", message: "", loaded };
      this.loaded.resolve(client);
    } catch (error) {
      this.state.value = { kind: "failed", message: error instanceof Error ? error.message : String(error) };
      this.loaded.reject(error);
    }
  }

  /** Where the decoder is, when it is made and the server answers. */
  private async place(): Promise<DecoderPlace> {
    for (;;) {
      try {
        const place = await this.backend.decoder();
        if (place.state !== "making") return place;
        this.state.value = { kind: "making", message: place.message };
      } catch (error) {
        if (!(error instanceof OfflineError)) throw error;
      }
      await new Promise((resume) => setTimeout(resume, ASK_AGAIN_MS));
    }
  }

  /** Bring an image's embedding to the decoder, when that is loaded. Fails with RefusedError for one of another model. */
  open(image: ImageRecord): Promise<void> {
    const opening = this.embedded.get(image.id) ?? this.bring(image);
    this.embedded.delete(image.id);
    this.embedded.set(image.id, opening);
    opening.catch(() => this.embedded.delete(image.id));
    for (const id of this.embedded.keys()) {
      if (this.embedded.size <= IMAGES_KEPT) break;
      this.embedded.delete(id);
      void this.client?.forgetImage(String(id));
    }
    return opening;
  }

  private async bring(image: ImageRecord): Promise<void> {
    // Both are on their way at the same time.
    const embedding = this.backend.embedding(image);
    embedding.catch(() => undefined);
    const client = await this.loaded.promise;
    await client.openImage(String(image.id), image.height, image.width, await embedding);
  }

  /** Masks for a click or a box. A preview of the same prompt, done or on its way, is the answer. */
  async answer(image: ImageRecord, prompt: ObjectPrompt, colour: string, signal?: AbortSignal): Promise<Answer> {
    const key = this.keyOf(image, prompt);
    if (this.preview?.key === key) {
      this.client?.promotePreview();
      try {
        return await this.preview.answer;
      } catch {
        // asked for anew below
      }
    } else {
      this.cancelPreview();
    }
    const client = await this.clientFor(image);
    if (!client) return this.fromServer(image, prompt, signal);
    return this.local(client, await client.answer(String(image.id), prompt, colour), colour);
  }

  /** As `answer`, for what the pointer rests on; only the latest is worked on, and none where the server would have to. */
  async answerPreview(image: ImageRecord, prompt: ObjectPrompt, colour: string): Promise<Answer | null> {
    if (!this.client || this.readyImage.value !== image.id) return null;
    const key = this.keyOf(image, prompt);
    if (this.preview?.key === key) return this.preview.answer.catch(() => null);
    const client = this.client;
    const answer = client
      .answerPreview(String(image.id), prompt, colour)
      .then((found) => this.local(client, found, colour));
    this.preview = { key, answer };
    return answer.catch(() => null);
  }

  cancelPreview(): void {
    this.client?.cancelPreview();
    this.preview = null;
  }

  private keyOf(image: ImageRecord, prompt: ObjectPrompt): string {
    return `${image.id} ${promptKey(prompt)}`;
  }

  /** The decoder with the image's embedding, or null where the server has to answer. */
  private async clientFor(image: ImageRecord): Promise<DecoderClient | null> {
    const hasServer = this.backend.remote;
    if (!this.client && hasServer) return null;
    try {
      const client = await this.loaded.promise;
      await this.open(image);
      return client;
    } catch (error) {
      if (error instanceof RefusedError) this.state.value = { kind: "server", message: error.message };
      if (isAbort(error)) throw error;
      return null;
    }
  }

  private local(client: DecoderClient, found: Awaited<ReturnType<DecoderClient["answer"]>>, colour: string): Answer {
    decoded(found.decodeMs);
    const completed = new Map<number, Promise<Mask>>();
    return {
      scores: found.scores,
      best: found.best,
      picture: found.picture,
      complete: (index) => {
        let mask = completed.get(index);
        if (!mask) {
          mask = client.complete(found.answer, index, colour).then(({ height, width, edges, rings, logits, picture }) => ({
            outline: new Outline({ height, width, edges }, rings),
            logits,
            picture,
          }));
          completed.set(index, mask);
        }
        return mask;
      },
    };
  }

  private async fromServer(image: ImageRecord, prompt: ObjectPrompt, signal?: AbortSignal): Promise<Answer> {
    const masks = await this.backend.segment(
      image.id,
      {
        points: prompt.points.map(({ x, y }) => [x, y]),
        labels: prompt.points.map(({ label }) => label),
        box: prompt.box,
        text: null,
        multimask: isAmbiguous(prompt),
        logits: prompt.logits && logitsToBase64(prompt.logits),
      },
      signal,
    );
    const scores = masks.map((mask) => mask.score);
    return {
      scores,
      best: bestOf(scores),
      picture: null,
      complete: (index) => {
        const mask = masks[index]!;
        const logits = mask.logits ? base64ToLogits(mask.logits) : null;
        return Promise.resolve({ outline: outlineOf(mask.segmentation), logits, picture: null });
      },
    };
  }
}

interface Later<T> {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
}

function later<T>(): Later<T> {
  const found = {} as Later<T>;
  found.promise = new Promise((resolve, reject) => Object.assign(found, { resolve, reject }));
  return found;
}
