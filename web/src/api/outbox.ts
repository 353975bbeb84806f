/** The outbox: every change is kept until the server has it, and sent again with the same id until it does. */

import { signal } from "@preact/signals";
import { type Pending } from "../state/replay";
import { ApiError, OfflineError } from "./http";
import { mergeStale } from "./merge";
import type { Base, ChangeStore } from "./store";
import type { Change, ImageState, MaskObject } from "./types";

export interface OutboxState {
  status: "saved" | "saving" | "offline" | "locked" | "signed-out";
  unsaved: number;
}

export interface OutboxHooks {
  send: (imageId: number, baseVersion: number, changes: Change[]) => Promise<ImageState>;
  newId: () => string;
  onSaved: (imageId: number, state: ImageState, merged: boolean) => void;
  /** a change that the server will never take, and why */
  onRefused: (imageId: number, message: string) => void;
  onSignedOut: () => void;
}

interface Queue {
  base: Base;
  pending: Pending[];
  /** send one by one, to find the change that the server refuses */
  singly: boolean;
}

const BATCH = 50;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
const LOCKED_WAIT_MS = 15_000;

export class Outbox {
  readonly state = signal<OutboxState>({ status: "saved", unsaved: 0 });
  private readonly queues = new Map<number, Queue>();
  private scope = "";
  /** images whose changes were merged with somebody else's and are not saved yet */
  private readonly merged = new Set<number>();
  private sending = false;
  private wait = FIRST_WAIT_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stored: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly store: ChangeStore,
    private readonly hooks: OutboxHooks,
  ) {}

  /** Take up what an earlier visit left unsaved. */
  async start(scope: string): Promise<void> {
    await this.stored;
    this.scope = scope;
    this.queues.clear();
    const { bases, pending } = await this.store.load(scope).catch(() => ({ bases: [], pending: [] }));
    for (const base of bases) {
      this.queues.set(base.imageId, { base, pending: pending.filter((item) => item.imageId === base.imageId), singly: false });
    }
    this.show();
    this.retry();
  }

  pendingOf(imageId: number): Pending[] {
    return this.queues.get(imageId)?.pending ?? [];
  }

  /** The name of an image with unsaved changes. */
  nameOf(imageId: number): string | null {
    return this.queues.get(imageId)?.base.name ?? null;
  }

  /** Tell what the server has now; ignored while changes on an older state wait, for they are merged when sent. */
  setBase(imageId: number, name: string, version: number, objects: MaskObject[]): void {
    if (this.pendingOf(imageId).length) return;
    this.queues.set(imageId, { base: { imageId, name, version, objects }, pending: [], singly: false });
  }

  add(imageId: number, items: Omit<Pending, "imageId">[]): void {
    const queue = this.queues.get(imageId);
    if (!queue) throw new Error("an image's changes need its state first");
    queue.pending = [...queue.pending, ...items.map((item) => ({ imageId, ...item }))];
    this.keep(queue);
    this.show();
    if (this.timer === undefined) void this.pump();
  }

  /** Send now, whatever the waiting time. */
  retry(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.wait = FIRST_WAIT_MS;
    void this.pump();
  }

  /** When all that was added so far is in the browser's database. */
  settled(): Promise<unknown> {
    return this.stored;
  }

  private async pump(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    try {
      for (let next = this.nextQueue(); next; next = this.nextQueue()) {
        this.show("saving");
        await this.sendSome(next);
        this.wait = FIRST_WAIT_MS;
      }
      this.show();
    } catch (error) {
      this.pause(error);
    } finally {
      this.sending = false;
    }
  }

  private nextQueue(): Queue | undefined {
    return [...this.queues.values()].find((queue) => queue.pending.length);
  }

  private async sendSome(queue: Queue): Promise<void> {
    const { base } = queue;
    const batch = queue.pending.slice(0, queue.singly ? 1 : BATCH);
    let state: ImageState;
    try {
      state = await this.hooks.send(base.imageId, base.version, batch.map((item) => item.change));
    } catch (error) {
      if (isStale(error)) {
        this.rebase(queue, error.extra as unknown as ImageState);
        return;
      }
      if (isRefusal(error)) {
        if (batch.length > 1) {
          queue.singly = true;
          return;
        }
        queue.pending = queue.pending.slice(1);
        this.keep(queue);
        this.hooks.onRefused(base.imageId, error.message);
        return;
      }
      throw error;
    }
    queue.pending = queue.pending.slice(batch.length);
    queue.singly &&= queue.pending.length > 0;
    queue.base = { ...base, version: state.version, objects: state.objects };
    this.keep(queue);
    this.hooks.onSaved(base.imageId, state, this.merged.delete(base.imageId));
  }

  private rebase(queue: Queue, server: ImageState): void {
    queue.pending = mergeStale(queue.base.objects, server.objects, queue.pending, this.hooks.newId);
    queue.base = { ...queue.base, version: server.version, objects: server.objects };
    this.merged.add(queue.base.imageId);
    this.keep(queue);
    if (!queue.pending.length) this.hooks.onSaved(queue.base.imageId, server, this.merged.delete(queue.base.imageId));
  }

  private pause(error: unknown): void {
    if (error instanceof ApiError && error.status === 401) {
      this.show("signed-out");
      this.hooks.onSignedOut();
      return;
    }
    const locked = error instanceof ApiError && error.status === 423;
    this.show(locked ? "locked" : "offline");
    if (!locked && !(error instanceof OfflineError)) console.error(error);
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        void this.pump();
      },
      locked ? LOCKED_WAIT_MS : this.wait,
    );
    this.wait = Math.min(LONGEST_WAIT_MS, 2 * this.wait);
  }

  private keep(queue: Queue): void {
    const { base, pending } = queue;
    this.stored = this.stored.then(() => this.store.save(this.scope, base, pending)).catch((error) => console.error(error));
  }

  private show(status?: OutboxState["status"]): void {
    const unsaved = [...this.queues.values()].reduce((sum, queue) => sum + queue.pending.length, 0);
    const waiting = this.state.value.status;
    const going = waiting === "saved" ? "saving" : waiting;
    this.state.value = { status: status ?? (unsaved ? going : "saved"), unsaved };
  }
}

function isStale(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 409 && error.code === "stale";
}

/** Errors of the change itself; 401, 423 and 429 and the server's own pass with time. */
function isRefusal(error: unknown): error is ApiError {
  return (
    error instanceof ApiError && error.status >= 400 && error.status < 500 && ![401, 408, 423, 429].includes(error.status)
  );
}
