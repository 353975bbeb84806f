/** The backend that is an anymask server, over HTTP. */

import type { Embedding } from "../decoder/protocol";
import type { Backend, Exported, Follow, Picture } from "./backend";
import { ApiError, request, requestJson, resolve } from "./http";
import { followJob } from "./jobs";
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
  SegmentRequest,
  Session,
} from "./types";

const UPLOAD_MS = 600_000;

export class ServerBackend implements Backend {
  readonly remote = true;

  session(): Promise<Session> {
    return requestJson("api/session");
  }

  login(name: string, token: string): Promise<Session> {
    return requestJson("api/login", { method: "POST", json: { name, token } });
  }

  async logout(): Promise<void> {
    await request("api/logout", { method: "POST" });
  }

  async putLabel({ id, ...label }: Label): Promise<void> {
    await request(`api/labels/${id}`, { method: "PUT", json: label });
  }

  async deleteLabel(id: string): Promise<void> {
    await request(`api/labels/${id}`, { method: "DELETE" });
  }

  images(query: ImageQuery, signal?: AbortSignal): Promise<ImagePage> {
    const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
    return requestJson(`api/images?${text}`, { signal });
  }

  image(id: number, signal?: AbortSignal): Promise<{ image: ImageRecord; objects: MaskObject[] }> {
    return requestJson(`api/images/${id}`, { signal });
  }

  upload(file: File): Promise<ImageRecord> {
    return requestJson("api/images", { method: "POST", form: fileForm(file), patience: UPLOAD_MS });
  }

  thumbnail(image: ImageRecord): string {
    return resolve(`api/images/${image.id}/thumbnail`);
  }

  picture(image: ImageRecord): Picture {
    const at = `api/images/${image.id}`;
    return {
      preview: resolve(`${at}/preview`),
      tile: (level, x, y) => resolve(`${at}/tiles/${level}/${x}/${y}`),
      whole: null,
    };
  }

  async embedding(image: ImageRecord, signal?: AbortSignal): Promise<Embedding> {
    const response = await request(`api/images/${image.id}/embedding`, { signal, patience: 300_000 });
    return {
      bytes: await response.arrayBuffer(),
      model: response.headers.get("X-Anymask-Model"),
      weights: response.headers.get("X-Anymask-Weights"),
    };
  }

  async decoder(): Promise<DecoderPlace> {
    const place = await requestJson<DecoderPlace>("api/decoder");
    return { ...place, url: place.url && resolve(place.url) };
  }

  async segment(id: number, json: SegmentRequest, signal?: AbortSignal): Promise<SegmentedMask[]> {
    const options = { method: "POST", json, signal, patience: 300_000 } as const;
    return (await requestJson<{ masks: SegmentedMask[] }>(`api/images/${id}/segment`, options)).masks;
  }

  async everything(id: number, follow: Follow): Promise<EverythingMask[]> {
    try {
      return await this.madeEverything(id);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
    const { job } = await requestJson<{ job: string }>(`api/images/${id}/everything`, { method: "POST", json: {} });
    await followJob(job, follow);
    return this.madeEverything(id);
  }

  private async madeEverything(id: number): Promise<EverythingMask[]> {
    return (await requestJson<{ masks: EverythingMask[] }>(`api/images/${id}/everything`)).masks;
  }

  lease(id: number): Promise<{ until: string; version: number }> {
    return requestJson(`api/images/${id}/lease`, { method: "POST", patience: 15_000 });
  }

  release(id: number): void {
    request(`api/images/${id}/lease`, { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  change(id: number, baseVersion: number, changes: Change[]): Promise<ImageState> {
    const json = { base_version: baseVersion, changes };
    return requestJson(`api/images/${id}/changes`, { method: "POST", json, patience: 30_000 });
  }

  async changes(id: number): Promise<PastChange[]> {
    return (await requestJson<{ changes: PastChange[] }>(`api/images/${id}/changes`)).changes;
  }

  async export(format: string, only: "all" | "done", follow: Follow): Promise<Exported> {
    const { job } = await requestJson<{ job: string }>("api/export", { method: "POST", json: { format, only } });
    const { result } = await followJob(job, follow);
    const url = String(result?.["url"] ?? "");
    return { url: resolve(url), name: url.split("/").at(-1) ?? "export.zip" };
  }

  async import(file: File, format: string, follow: Follow): Promise<Record<string, unknown>> {
    const form = fileForm(file);
    form.set("format", format);
    const { job } = await requestJson<{ job: string }>("api/import", { method: "POST", form, patience: UPLOAD_MS });
    return (await followJob(job, follow)).result ?? {};
  }
}

function fileForm(file: File): FormData {
  const form = new FormData();
  form.set("file", file, file.name);
  return form;
}
