/** The page's side of the decoder's worker: asks with promises, clicks before previews, only the latest preview. */

import type { ObjectPrompt } from "./prompt";
import type { Answered, Ask, Completed, Embedding, Loaded, Message, Replies, Reply } from "./protocol";

/** The part of a Worker that is used; tests bring their own. */
export interface WorkerLike {
  postMessage(message: Message, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<Reply>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
}

export class RefusedError extends Error {}

/** A preview that a newer one replaced before it began. */
export class Replaced extends Error {}

interface Waiting {
  ask: Ask;
  transfer: Transferable[];
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

export class DecoderClient {
  private readonly waiting: Waiting[] = [];
  private preview: Waiting | null = null;
  private running: { id: number; job: Waiting } | null = null;
  private lastId = 0;

  constructor(private readonly worker: WorkerLike) {
    worker.onmessage = (event) => this.receive(event.data);
    worker.onerror = (event) => this.fail(new Error(event.message || "The decoder's worker stopped."));
  }

  load(url: string, ort: string): Promise<Loaded> {
    return this.ask({ kind: "load", url, ort });
  }

  openImage(key: string, height: number, width: number, embedding: Embedding): Promise<null> {
    return this.ask({ kind: "image", key, height, width, embedding }, [embedding.bytes]);
  }

  forgetImage(key: string): Promise<null> {
    return this.ask({ kind: "forget", key });
  }

  answer(key: string, prompt: ObjectPrompt, colour: string): Promise<Answered> {
    return this.ask({ kind: "answer", key, prompt, colour });
  }

  /** As `answer`, when nothing else is to do; a later preview takes the place of one that waits. */
  answerPreview(key: string, prompt: ObjectPrompt, colour: string): Promise<Answered> {
    this.cancelPreview();
    return new Promise<Answered>((resolve, reject) => {
      this.preview = { ask: { kind: "answer", key, prompt, colour }, transfer: [], resolve, reject };
      this.next();
    });
  }

  cancelPreview(): void {
    this.preview?.reject(new Replaced());
    this.preview = null;
  }

  /** A waiting preview turns out to be a click: it goes to the front. */
  promotePreview(): void {
    if (!this.preview) return;
    this.waiting.unshift(this.preview);
    this.preview = null;
    this.next();
  }

  complete(answer: number, index: number, colour: string): Promise<Completed> {
    return this.ask({ kind: "complete", answer, index, colour });
  }

  stop(): void {
    this.worker.terminate();
    this.fail(new Error("The decoder was stopped."));
  }

  private ask<K extends Ask["kind"]>(ask: Extract<Ask, { kind: K }>, transfer: Transferable[] = []): Promise<Replies[K]> {
    return new Promise<Replies[K]>((resolve, reject) => {
      this.waiting.push({ ask, transfer, resolve, reject });
      this.next();
    });
  }

  private next(): void {
    if (this.running) return;
    let job = this.waiting.shift();
    if (!job && this.preview) {
      job = this.preview;
      this.preview = null;
    }
    if (!job) return;
    const id = ++this.lastId;
    this.running = { id, job };
    this.worker.postMessage({ id, ask: job.ask }, job.transfer);
  }

  private receive(reply: Reply): void {
    if (this.running?.id !== reply.id) return;
    const { job } = this.running;
    this.running = null;
    if ("error" in reply) job.reject(reply.refused ? new RefusedError(reply.error) : new Error(reply.error));
    else job.resolve(reply.value as never);
    this.next();
  }

  private fail(error: Error): void {
    const jobs = [...(this.running ? [this.running.job] : []), ...this.waiting.splice(0)];
    this.running = null;
    for (const job of jobs) job.reject(error);
    this.cancelPreview();
  }
}
