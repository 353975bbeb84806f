/** The backend of the demonstration: example photos from plain files, changes kept in the browser. */

import type { Embedding } from "../decoder/protocol";
import type { Backend, Exported, Picture } from "./backend";
import { cocoJson } from "./coco";
import { ApiError, request, requestJson, resolve } from "./http";
import { applyChanges, type Ledger, newLedger, pastOf, stateOf } from "./ledger";
import { settle } from "./store";
import type {
  Change,
  DecoderPlace,
  EverythingMask,
  ImagePage,
  ImageQuery,
  ImageRecord,
  ImageState,
  Label,
  MaskObject,
  PastChange,
  SegmentedMask,
  Session,
} from "./types";

interface Demo {
  images: { id: number; name: string; width: number; height: number; preview: string; image: string; embedding: string }[];
  decoder: string;
  labels: Label[];
  /** of whose model the embeddings are, where the file says so */
  model?: string;
  weights?: string;
}

const DATABASE = "anymask-demo";
const LABELS = 0;

export class StaticBackend implements Backend {
  readonly remote = false;
  private demo: Promise<Demo> | null = null;
  private database: Promise<IDBDatabase> | null = null;

  constructor(private readonly file: string) {}

  async session(): Promise<Session> {
    return {
      person: null,
      needs_token: false,
      project: "Demonstration",
      version: "",
      labels: await this.labels(),
      capabilities: { text: false, everything: false, import: [], export: ["coco"] },
      limits: { upload_bytes: 0 },
      lease_seconds: 0,
    };
  }

  login(): Promise<Session> {
    return this.session();
  }

  logout(): Promise<void> {
    return Promise.resolve();
  }

  async putLabel(label: Label): Promise<void> {
    const labels = await this.labels();
    const at = labels.findIndex((known) => known.id === label.id);
    if (at < 0) labels.push(label);
    else labels[at] = label;
    await this.write({ id: LABELS, labels });
  }

  async deleteLabel(id: string): Promise<void> {
    const ledgers = await this.ledgers();
    const count = ledgers.flatMap((ledger) => ledger.objects).filter((object) => object.label === id).length;
    if (count) throw new ApiError(409, "in_use", `${count} objects have this label.`, { count });
    await this.write({ id: LABELS, labels: (await this.labels()).filter((label) => label.id !== id) });
  }

  async images(query: ImageQuery): Promise<ImagePage> {
    const records = await this.records();
    const search = query.search.toLowerCase();
    const found = records.filter(
      (record) => (!query.status || record.status === query.status) && record.name.toLowerCase().includes(search),
    );
    return { total: found.length, images: found.slice(query.offset, query.offset + query.limit) };
  }

  async image(id: number): Promise<{ image: ImageRecord; objects: MaskObject[] }> {
    const image = (await this.records()).find((record) => record.id === id);
    if (!image) throw new ApiError(404, "no_image", "There is no such image.");
    return { image, objects: (await this.ledger(id)).objects };
  }

  upload(): Promise<ImageRecord> {
    return Promise.reject(new ApiError(405, "demo", "The demonstration takes no uploads."));
  }

  thumbnail(image: ImageRecord): string {
    return this.urls.get(image.id)?.preview ?? "";
  }

  picture(image: ImageRecord): Picture {
    const urls = this.urls.get(image.id);
    return { preview: urls?.preview ?? "", tile: null, whole: urls?.image ?? null };
  }

  async embedding(image: ImageRecord, signal?: AbortSignal): Promise<Embedding> {
    const demo = await this.read();
    const url = this.urls.get(image.id)?.embedding ?? "";
    const bytes = await (await request(url, { signal, patience: 300_000 })).arrayBuffer();
    return { bytes, model: demo.model ?? null, weights: demo.weights ?? null };
  }

  async decoder(): Promise<DecoderPlace> {
    const { decoder } = await this.read();
    return { url: resolve(decoder.endsWith("/") ? decoder : `${decoder}/`), state: "ready", message: "" };
  }

  segment(): Promise<SegmentedMask[]> {
    return Promise.reject(new ApiError(405, "demo", "The demonstration has no server; wait for the decoder to load."));
  }

  everything(): Promise<EverythingMask[]> {
    return Promise.reject(new ApiError(405, "demo", "The demonstration has no server."));
  }

  lease(): Promise<{ until: string; version: number }> {
    return Promise.resolve({ until: "", version: 0 });
  }

  release(): void {}

  async change(id: number, _: number, changes: Change[]): Promise<ImageState> {
    const ledger = applyChanges(await this.ledger(id), changes, new Date().toISOString());
    await this.write(ledger);
    return stateOf(ledger);
  }

  async changes(id: number): Promise<PastChange[]> {
    return pastOf(await this.ledger(id));
  }

  async export(_: string, only: "all" | "done"): Promise<Exported> {
    const records = (await this.records()).filter((record) => only === "all" || record.status === "done");
    const images = await Promise.all(
      records.map(async (image) => ({ image, objects: (await this.ledger(image.id)).objects })),
    );
    const text = JSON.stringify(cocoJson(images, await this.labels()));
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    return { url, name: "annotations.json" };
  }

  import(): Promise<Record<string, unknown>> {
    return Promise.reject(new ApiError(405, "demo", "The demonstration imports nothing."));
  }

  private urls = new Map<number, { preview: string; image: string; embedding: string }>();

  private read(): Promise<Demo> {
    this.demo ??= requestJson<Demo>(this.file).then((demo) => {
      for (const { id, preview, image, embedding } of demo.images) {
        this.urls.set(id, { preview: resolve(preview), image: resolve(image), embedding });
      }
      return demo;
    });
    return this.demo;
  }

  private async records(): Promise<ImageRecord[]> {
    const [demo, ledgers] = await Promise.all([this.read(), this.ledgers()]);
    return demo.images.map(({ id, name, width, height }) => {
      const { status, objects, version } = ledgers.find((ledger) => ledger.id === id) ?? newLedger(id);
      return { id, name, width, height, status, objects: objects.length, version, locked_by: null, problem: null };
    });
  }

  private async labels(): Promise<Label[]> {
    const kept = (await this.row(LABELS)) as { labels: Label[] } | undefined;
    return kept?.labels ?? [...(await this.read()).labels];
  }

  // Row 0 holds the labels, so an image's row is one further than its id.

  private async ledgers(): Promise<Ledger[]> {
    const rows = await settle((await this.store("readonly")).getAll());
    return (rows as { row: number; value: Ledger }[]).filter(({ row }) => row !== LABELS).map(({ value }) => value);
  }

  private async ledger(id: number): Promise<Ledger> {
    return ((await this.row(id + 1)) as Ledger | undefined) ?? newLedger(id);
  }

  private async row(row: number): Promise<unknown> {
    const found = (await settle((await this.store("readonly")).get(row))) as { value: unknown } | undefined;
    return found?.value;
  }

  private async write(value: Ledger | { id: number; labels: Label[] }): Promise<void> {
    const row = "labels" in value ? LABELS : value.id + 1;
    await settle((await this.store("readwrite")).put({ row, value }));
  }

  private async store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    this.database ??= new Promise((done, fail) => {
      const opening = indexedDB.open(`${DATABASE}:${resolve(this.file)}`, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("rows", { keyPath: "row" });
      opening.onsuccess = () => done(opening.result);
      opening.onerror = () => fail(opening.error ?? new Error("the browser's database does not open"));
    });
    return (await this.database).transaction("rows", mode).objectStore("rows");
  }
}
