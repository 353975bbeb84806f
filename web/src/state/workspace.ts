/** The open image: its objects as the person sees them, what can be undone, and the object in the making. */

import { computed, signal } from "@preact/signals";
import type { Backend } from "../api/backend";
import { ApiError, OfflineError } from "../api/http";
import type { Outbox } from "../api/outbox";
import type { ImageRecord, ImageState, MaskObject, PromptRecord, Source, Status } from "../api/types";
import { Draft } from "./draft";
import { type Entry, History } from "./history";
import { newId } from "./ids";
import { Outline, outlineOf } from "./outline";
import { replay } from "./replay";

/** Somebody else works on the image. */
export interface Lock {
  by: string;
  until: string;
}

/** A mask that can be taken with a click. */
export interface Pick {
  outline: Outline;
  score: number;
  source: Source;
}

interface Edit {
  objectId: string;
  after: MaskObject | null;
  prompts?: PromptRecord[];
  durationMs?: number;
}

const LOCKED_AGAIN_MS = 10_000;

export class Workspace {
  readonly objects = signal<MaskObject[]>([]);
  readonly selected = signal<string | null>(null);
  readonly hidden = signal<ReadonlySet<string>>(new Set());
  readonly draft = signal<Draft | null>(null);
  readonly picks = signal<Pick[]>([]);
  readonly lock = signal<Lock | null>(null);
  readonly status = signal<Status>("new");
  readonly canUndo = signal(false);
  readonly canRedo = signal(false);
  readonly selectedObject = computed(() => this.objects.value.find((o) => o.id === this.selected.value) ?? null);
  readonly readOnly = computed(() => this.lock.value !== null);
  private history = new History();
  private saved: ImageState;
  private leaseTimer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(
    readonly image: ImageRecord,
    objects: MaskObject[],
    private readonly backend: Backend,
    private readonly outbox: Outbox,
    private readonly leaseSeconds: number,
  ) {
    this.saved = { version: image.version, objects };
    this.status.value = image.status;
    outbox.setBase(image.id, image.name, image.version, objects);
    this.refresh();
  }

  /** Take the lease and read what was done before. */
  async begin(person: string | null): Promise<void> {
    await Promise.all([this.renew(), this.readHistory(person)]);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.leaseTimer);
    if (this.leaseSeconds && !this.lock.value) this.backend.release(this.image.id);
  }

  /** Make changes to objects, as one action that is undone at once. */
  commit(edits: Edit[]): void {
    if (!edits.length || this.readOnly.value) return;
    const group = newId();
    const entries = edits.map((edit) => ({ edit, entry: this.entryOf(edit, group) }));
    this.history.push(entries.map(({ entry }) => entry));
    this.outbox.add(
      this.image.id,
      entries.map(({ edit: { objectId, after, prompts, durationMs }, entry }) => ({
        change: {
          id: entry.id,
          ...(after ? { kind: "put" as const, object: after } : { kind: "remove" as const, object_id: objectId }),
          prompts: prompts ?? [],
          duration_ms: Math.min(2 ** 31 - 1, Math.round(durationMs ?? 0)),
        },
        effect: { objectId, object: after },
      })),
    );
    if (this.status.value === "new") this.status.value = "started";
    this.refresh();
  }

  put(object: MaskObject, prompts: PromptRecord[] = [], durationMs = 0): void {
    this.commit([{ objectId: object.id, after: object, prompts, durationMs }]);
  }

  remove(ids: string[]): void {
    this.commit(ids.map((objectId) => ({ objectId, after: null })));
  }

  setStatus(status: Status): void {
    if (this.readOnly.value || status === this.status.value) return;
    this.status.value = status;
    this.outbox.add(this.image.id, [{ change: { id: newId(), kind: "status", status }, effect: null }]);
  }

  undo(): void {
    const draft = this.draft.value;
    if (draft?.canUndo) draft.undo();
    else if (draft) this.draft.value = null;
    else this.send("undo", this.history.undo());
  }

  redo(): void {
    const draft = this.draft.value;
    if (draft?.canRedo) draft.redo();
    else if (!draft) this.send("redo", this.history.redo());
  }

  /** A new object that will be the last in the list. */
  newObject(outline: Outline, label: string | null, score: number | null, source: Source, id = newId()): MaskObject {
    const order = Math.max(-1, ...this.objects.value.map((object) => object.order)) + 1;
    return { id, label, segmentation: outline.rle, score, source, order };
  }

  /** Move an object by one place in the list, which is the order in which objects are drawn. */
  move(id: string, by: -1 | 1): void {
    const objects = this.objects.value;
    const from = objects.findIndex((object) => object.id === id);
    const to = from + by;
    if (from < 0 || to < 0 || to >= objects.length) return;
    const order = [...objects];
    order.splice(to, 0, ...order.splice(from, 1));
    const edits = order.flatMap((object, i) =>
      object.order === i ? [] : [{ objectId: object.id, after: { ...object, order: i } }],
    );
    this.commit(edits);
  }

  toggleHidden(id: string): void {
    const hidden = new Set(this.hidden.value);
    if (!hidden.delete(id)) hidden.add(id);
    this.hidden.value = hidden;
  }

  /** The topmost visible object at a place: the smallest of those that lie there. */
  objectAt(x: number, y: number): MaskObject | null {
    const there = this.objects.value.filter(
      (object) => !this.hidden.value.has(object.id) && outlineOf(object.segmentation).contains(x, y),
    );
    return there.sort((a, b) => outlineOf(a.segmentation).area - outlineOf(b.segmentation).area)[0] ?? null;
  }

  /** The server has taken changes; with `merged`, onto what somebody else had saved. */
  took(state: ImageState, merged: boolean, person: string | null): void {
    this.saved = state;
    this.refresh();
    // Objects of our own may have got other ids, so what is known of them to undo is out of date.
    if (merged) void this.readHistory(person, true);
  }

  private entryOf({ objectId, after }: Edit, group: string): Omit<Entry, "undone"> {
    const before = this.objects.value.find((object) => object.id === objectId) ?? null;
    return { id: newId(), objectId, before, after, group };
  }

  private send(kind: "undo" | "redo", entries: Entry[]): void {
    if (!entries.length || this.readOnly.value) return;
    this.outbox.add(
      this.image.id,
      entries.map((entry) => {
        const object = kind === "undo" ? entry.before : entry.after;
        return {
          change: { id: newId(), kind, of: entry.id },
          effect: object === undefined ? null : { objectId: entry.objectId, object },
        };
      }),
    );
    this.refresh();
  }

  private refresh(): void {
    this.objects.value = replay(this.saved.objects, this.outbox.pendingOf(this.image.id));
    this.canUndo.value = this.history.canUndo;
    this.canRedo.value = this.history.canRedo;
    if (this.selected.value && !this.selectedObject.value) this.selected.value = null;
  }

  private async readHistory(person: string | null, anew = false): Promise<void> {
    try {
      const past = History.of(await this.backend.changes(this.image.id), person);
      // What was done since the page asked is not in the answer.
      if (this.closed || this.outbox.pendingOf(this.image.id).length) return;
      if (this.history.canUndo && !anew) return;
      this.history = past;
      this.refresh();
    } catch {
      // without it there is less to undo, which is no reason to stop the work
    }
  }

  private async renew(): Promise<void> {
    if (!this.leaseSeconds || this.closed) return;
    let wait = (this.leaseSeconds * 1000) / 2;
    try {
      const lease = await this.backend.lease(this.image.id);
      await this.catchUp(lease.version);
    } catch (error) {
      if (error instanceof ApiError && error.status === 423) {
        this.lock.value = { by: String(error.extra["by"] ?? "somebody"), until: String(error.extra["until"] ?? "") };
        wait = LOCKED_AGAIN_MS;
      } else if (!(error instanceof OfflineError) && !(error instanceof ApiError)) {
        throw error;
      }
    }
    if (!this.closed) this.leaseTimer = setTimeout(() => void this.renew(), wait);
  }

  /** Go on with what somebody else saved before the image was ours. */
  private async catchUp(version: number): Promise<void> {
    if (version !== this.saved.version && !this.outbox.pendingOf(this.image.id).length) {
      const { image, objects } = await this.backend.image(this.image.id);
      if (this.outbox.pendingOf(this.image.id).length) return;
      this.saved = { version: image.version, objects };
      this.status.value = image.status;
      this.outbox.setBase(image.id, image.name, image.version, objects);
      this.refresh();
    }
    this.lock.value = null;
  }
}
