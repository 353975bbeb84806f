/** The whole of what the page knows and does, without its looks. */

import { batch, computed, effect, signal } from "@preact/signals";
import type { Backend } from "../api/backend";
import { ApiError, isAbort } from "../api/http";
import { Outbox } from "../api/outbox";
import type { ChangeStore } from "../api/store";
import type { ImageRecord, Session, Status } from "../api/types";
import { decodeRle } from "../mask/rle";
import { isEmpty, rescale } from "../mask/runs";
import { Decoding } from "./decoding";
import { Drawing } from "./drawing";
import { Gallery } from "./gallery";
import { newId } from "./ids";
import { Labels } from "./labels";
import { LongWork } from "./long-work";
import { Outline, outlineOf } from "./outline";
import { change, settings } from "./settings";
import { openedImage, readyPart } from "./timing";
import { type Pick, Workspace } from "./workspace";

export type ToolName = "select" | "click" | "brush" | "erase" | "polygon" | "gaze";
export type Dialog = "help" | "export" | "import" | "login" | "settings" | null;

export interface Parts {
  backend: Backend;
  store: ChangeStore;
  newWorker: () => Worker;
  ortUrl: string;
}

export class App {
  readonly backend: Backend;
  readonly session = signal<Session | null>(null);
  readonly workspace = signal<Workspace | null>(null);
  readonly tool = signal<ToolName>("click");
  readonly dialog = signal<Dialog>(null);
  /** said to the person, aloud too */
  readonly notice = signal<{ text: string; grave: boolean } | null>(null);
  readonly overlay = signal(true);
  readonly opening = signal<ImageRecord | null>(null);
  readonly work = new LongWork((error) => this.complain(error));
  readonly labels: Labels;
  readonly gallery: Gallery;
  readonly decoding: Decoding;
  readonly drawing: Drawing;
  readonly outbox: Outbox;
  readonly imageId = computed(() => this.workspace.value?.image.id ?? null);
  private lastVisited: number | null = null;
  private readonly seenImages = new Set<number>();

  constructor(parts: Parts) {
    const { backend } = parts;
    this.backend = backend;
    this.labels = new Labels(backend, (error) => this.complain(error));
    this.gallery = new Gallery(backend);
    this.decoding = new Decoding(backend, parts.newWorker, parts.ortUrl);
    this.drawing = new Drawing(this.decoding, {
      workspace: () => this.workspace.peek(),
      label: () => this.labels.current.peek(),
      colourOf: (label) => this.labels.colourOf(label),
      maskSize: () => {
        const state = this.decoding.state.peek();
        return state.kind === "ready" ? state.loaded.maskSize : 256;
      },
      say: (message) => this.say(message),
    });
    this.outbox = new Outbox(parts.store, {
      newId,
      send: async (imageId, version, changes) => {
        await this.checkSameImage(imageId);
        return backend.change(imageId, version, changes);
      },
      onSaved: (imageId, state, merged) => {
        this.gallery.update(imageId, { objects: state.objects.length, version: state.version });
        const workspace = this.workspace.peek();
        if (workspace?.image.id === imageId) workspace.took(state, merged, this.session.peek()?.person ?? null);
        if (merged) this.say("Somebody else had saved this image meanwhile. Your changes are on top of theirs.");
      },
      onRefused: (imageId, message) => {
        this.say(`The server refused a change: ${message}`, true);
        if (this.imageId.peek() === imageId) void this.reopen();
      },
      onSignedOut: () => (this.dialog.value = "login"),
    });
    this.watch();
  }

  private watch(): void {
    effect(() => {
      const workspace = this.workspace.value;
      if (!workspace) return;
      const status = workspace.status.value;
      queueMicrotask(() => this.gallery.update(workspace.image.id, { status }));
    });
    let wasOffline = false;
    effect(() => {
      const { status } = this.outbox.state.value;
      if (status === "offline" && !wasOffline) {
        this.say("The server does not answer. Changes are kept in this browser and sent when it is back.", true);
      } else if (status === "saved" && wasOffline) {
        this.say("The server is back; all changes are saved.");
      }
      wasOffline = status === "offline" || (status === "saving" && wasOffline);
    });
    effect(() => {
      const image = this.workspace.value?.image;
      const { kind } = this.decoding.state.peek();
      if (image && kind !== "server" && kind !== "failed") queueMicrotask(() => void this.embed(image));
    });
  }

  // beginning

  async start(): Promise<void> {
    try {
      await this.takeSession(await this.backend.session());
    } catch (error) {
      this.complain(error);
    }
  }

  async login(name: string, token: string): Promise<void> {
    await this.takeSession(await this.backend.login(name, token));
    this.dialog.value = null;
  }

  async logout(): Promise<void> {
    await this.close();
    await this.backend.logout();
    await this.start();
  }

  private async takeSession(session: Session): Promise<void> {
    this.session.value = session;
    this.labels.set(session.labels);
    if (session.needs_token && session.person === null) {
      this.dialog.value = "login";
      return;
    }
    await this.outbox.start(`${document.baseURI}|${session.project}|${session.person ?? ""}`);
    void this.decoding.start();
    await this.gallery.reload();
    const wanted = Number(new URLSearchParams(location.hash.slice(1)).get("image"));
    const first = wanted ? await this.backend.image(wanted).catch(() => null) : null;
    const image = first?.image ?? (await this.gallery.fetch(0));
    if (image && !this.workspace.peek()) await this.open(image);
  }

  /** What waits from an earlier visit belongs to a number and a name; another project at this address has others. */
  private async checkSameImage(imageId: number): Promise<void> {
    if (this.seenImages.has(imageId)) return;
    const { image } = await this.backend.image(imageId);
    const name = this.outbox.nameOf(imageId);
    if (name !== null && name !== image.name) {
      throw new ApiError(410, "other_image", `unsaved changes to ${name} found another image in its place`);
    }
    this.seenImages.add(imageId);
  }

  // images

  async open(image: ImageRecord): Promise<void> {
    if (this.imageId.peek() === image.id) return;
    this.opening.value = image;
    try {
      await this.drawing.finish();
      openedImage(image.id);
      const found = await this.backend.image(image.id);
      if (this.opening.peek() !== image) return;
      const { problem } = found.image;
      if (problem) throw new ApiError(422, "problem", `${found.image.name} cannot be shown: ${problem}`);
      this.show(found.image, found.objects);
    } catch (error) {
      this.complain(error);
    } finally {
      if (this.opening.peek() === image) this.opening.value = null;
    }
  }

  private show(image: ImageRecord, objects: Awaited<ReturnType<Backend["image"]>>["objects"]): void {
    this.seenImages.add(image.id);
    const last = this.workspace.peek();
    last?.close();
    this.lastVisited = last?.image.id ?? null;
    this.drawing.stopHover();
    this.decoding.readyImage.value = null;
    const session = this.session.peek();
    const workspace = new Workspace(image, objects, this.backend, this.outbox, session?.lease_seconds ?? 0);
    this.workspace.value = workspace;
    this.gallery.update(image.id, image);
    history.replaceState(null, "", `#image=${image.id}`);
    void workspace.begin(session?.person ?? null).catch((error: unknown) => this.complain(error));
  }

  /** Read the open image anew and go on with it. */
  async reopen(): Promise<void> {
    const image = this.workspace.peek()?.image;
    if (!image) return;
    const found = await this.backend.image(image.id).catch(() => null);
    if (found && this.imageId.peek() === image.id) this.show(found.image, found.objects);
  }

  /** Read everything anew, as after an import. */
  async refreshAll(): Promise<void> {
    const session = await this.backend.session();
    batch(() => {
      this.session.value = session;
      this.labels.set(session.labels);
    });
    await this.gallery.reload();
    await this.reopen();
  }

  private async close(): Promise<void> {
    await this.drawing.finish();
    this.workspace.peek()?.close();
    this.workspace.value = null;
  }

  /** Bring the embedding, so that clicks are answered here; then that of the next image. */
  private async embed(image: ImageRecord): Promise<void> {
    try {
      await this.decoding.open(image);
    } catch (error) {
      // Without the decoder the server answers, and the status line says why.
      if (this.decoding.state.peek().kind === "ready") this.complain(error);
      return;
    }
    if (this.imageId.peek() !== image.id) return;
    this.decoding.readyImage.value = image.id;
    readyPart(image.id, "embedded");
    const place = this.gallery.placeOf(image.id);
    const next = place === null ? null : await this.gallery.fetch(place + 1);
    if (next && !next.problem && next.width) {
      await this.decoding.open(next).catch(() => undefined);
      if (this.imageId.peek() === image.id) void fetch(this.backend.picture(next).preview).catch(() => undefined);
    }
  }

  async step(by: 1 | -1): Promise<void> {
    const id = this.opening.peek()?.id ?? this.imageId.peek();
    const place = id === null ? null : this.gallery.placeOf(id);
    const image = await this.gallery.fetch(place === null ? 0 : place + by);
    if (image) await this.open(image);
    else this.say(by > 0 ? "This is the last image." : "This is the first image.");
  }

  async mark(status: Status, andNext: boolean): Promise<void> {
    await this.drawing.finish();
    this.workspace.peek()?.setStatus(status);
    if (andNext) await this.step(1);
  }

  async upload(files: readonly File[]): Promise<void> {
    const most = this.session.peek()?.limits.upload_bytes ?? 0;
    let last: ImageRecord | null = null;
    for (const [i, file] of files.entries()) {
      if (file.size > most) {
        this.say(`${file.name} is larger than the ${Math.floor(most / 2 ** 20)} MB that the server takes.`, true);
        continue;
      }
      this.say(`Uploading ${file.name} (${i + 1} of ${files.length}) …`);
      try {
        last = await this.backend.upload(file);
      } catch (error) {
        this.complain(error);
      }
    }
    if (!last) return;
    this.say(files.length === 1 ? `${last.name} is uploaded.` : "The images are uploaded.");
    await this.gallery.reload();
    await this.open(last);
  }

  async copyFromPrevious(): Promise<void> {
    const workspace = this.workspace.peek();
    if (!workspace || workspace.readOnly.peek()) return;
    const place = this.gallery.placeOf(workspace.image.id);
    const before = place === null || place === 0 ? null : await this.gallery.fetch(place - 1);
    const id = before?.id ?? this.lastVisited;
    if (id === null) return this.say("There is no previous image.");
    try {
      const { objects } = await this.backend.image(id);
      const { height, width } = workspace.image;
      const copies = objects.flatMap((object) => {
        const runs = rescale(decodeRle(object.segmentation), height, width);
        return isEmpty(runs) ? [] : [workspace.newObject(new Outline(runs), object.label, object.score, "copy")];
      });
      copies.forEach((copy, i) => (copy.order += i));
      workspace.commit(copies.map((after) => ({ objectId: after.id, after })));
      this.say(copies.length ? `Copied ${copies.length} objects.` : "The previous image has no objects.");
    } catch (error) {
      this.complain(error);
    }
  }

  // masks to pick from

  async findText(text: string): Promise<void> {
    await this.pickFrom(`Looking for “${text}”`, async (workspace, signal) => {
      const request = { points: [], labels: [], box: null, text, multimask: null, logits: null };
      const masks = await this.backend.segment(workspace.image.id, request, signal);
      return masks.map(({ segmentation, score }) => ({ outline: outlineOf(segmentation), score, source: "text" as const }));
    });
  }

  async findEverything(): Promise<void> {
    await this.pickFrom("Looking for everything", async (workspace, signal) => {
      const masks = await this.backend.everything(workspace.image.id, { onJob: this.work.onJob, signal });
      return masks.map(({ segmentation, predicted_iou }) => ({
        outline: outlineOf(segmentation),
        score: predicted_iou,
        source: "everything" as const,
      }));
    });
  }

  private async pickFrom(what: string, find: (workspace: Workspace, signal: AbortSignal) => Promise<Pick[]>): Promise<void> {
    const workspace = this.workspace.peek();
    if (!workspace || workspace.readOnly.peek()) return;
    await this.work.during(what, async (signal) => {
      const picks = await find(workspace, signal);
      workspace.picks.value = picks;
      if (picks.length) await this.drawing.finish();
      this.say(picks.length ? `${picks.length} found. Click the ones to take.` : "Nothing found.");
    });
  }

  take(picks: readonly Pick[]): void {
    const workspace = this.workspace.peek();
    if (!workspace || !picks.length) return;
    const objects = picks.map((pick) =>
      workspace.newObject(pick.outline, this.labels.current.peek(), pick.score, pick.source),
    );
    objects.forEach((object, i) => (object.order += i));
    batch(() => {
      workspace.commit(objects.map((after) => ({ objectId: after.id, after })));
      workspace.picks.value = workspace.picks.value.filter((pick) => !picks.includes(pick));
    });
    this.say(picks.length === 1 ? "Taken." : `${picks.length} taken.`);
  }

  // labels

  /** Choose a label: of the object in the making, which is finished, or of the selected one, and of those to come. */
  useLabel(id: string | null): void {
    this.labels.current.value = id;
    const workspace = this.workspace.peek();
    if (!workspace) return;
    const draft = workspace.draft.peek();
    const selected = workspace.selectedObject.peek();
    if (draft) {
      draft.label.value = id;
      if (settings.peek().finishOnLabel) void this.drawing.finish(id);
    } else if (selected && selected.label !== id) {
      workspace.put({ ...selected, label: id });
    }
  }

  // words

  say(text: string, grave = false): void {
    this.notice.value = { text, grave };
  }

  complain(error: unknown): void {
    if (isAbort(error)) return;
    if (error instanceof ApiError && error.status === 401) {
      this.dialog.value = "login";
      return;
    }
    this.say(error instanceof Error ? error.message : String(error), true);
  }

  toggleTheme(): void {
    const now = settings.peek().theme;
    const isDark = now === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : now === "dark";
    change({ theme: isDark ? "light" : "dark" });
  }
}
