/** The list of images: pages of it as they are looked at, filtered and searched by the server. */

import { computed, signal } from "@preact/signals";
import type { Backend } from "../api/backend";
import { isAbort } from "../api/http";
import type { ImageRecord, Status } from "../api/types";

const PAGE = 100;

export class Gallery {
  readonly total = signal(0);
  readonly search = signal("");
  readonly status = signal<Status | "">("");
  readonly problem = signal("");
  private readonly pages = signal<ReadonlyMap<number, readonly ImageRecord[]>>(new Map());
  private readonly loading = new Map<number, Promise<void>>();
  private generation = new AbortController();
  /** place of an image in the list */
  private readonly places = computed(() => {
    const places = new Map<number, number>();
    for (const [page, images] of this.pages.value) images.forEach((image, i) => places.set(image.id, page * PAGE + i));
    return places;
  });

  constructor(private readonly backend: Backend) {}

  /** The image at a place, if it is loaded. */
  at(place: number): ImageRecord | null {
    return this.pages.value.get(Math.floor(place / PAGE))?.[place % PAGE] ?? null;
  }

  placeOf(id: number): number | null {
    return this.places.value.get(id) ?? null;
  }

  /** Start the list anew, as after another filter. */
  async reload(): Promise<void> {
    this.generation.abort();
    this.generation = new AbortController();
    this.loading.clear();
    const { signal } = this.generation;
    try {
      const page = await this.page(0, signal);
      if (signal.aborted) return;
      this.total.value = page.total;
      this.pages.value = new Map([[0, page.images]]);
      this.problem.value = "";
    } catch (error) {
      if (!isAbort(error)) this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }

  /** Load what is missing of the places from `first` up to, not with, `end`. */
  async show(first: number, end: number): Promise<void> {
    const last = Math.min(end, this.total.value) - 1;
    const wanted: Promise<void>[] = [];
    for (let page = Math.floor(Math.max(0, first) / PAGE); page * PAGE <= last; page++) wanted.push(this.load(page));
    await Promise.all(wanted);
  }

  async fetch(place: number): Promise<ImageRecord | null> {
    if (place < 0 || place >= this.total.value) return null;
    await this.show(place, place + 1);
    return this.at(place);
  }

  /** Note what is known anew of an image; it keeps its place, whatever the filter. */
  update(id: number, part: Partial<ImageRecord>): void {
    const place = this.placeOf(id);
    if (place === null) return;
    const number = Math.floor(place / PAGE);
    const page = this.pages.value.get(number)!.map((image) => (image.id === id ? { ...image, ...part } : image));
    this.pages.value = new Map(this.pages.value).set(number, page);
  }

  private load(page: number): Promise<void> {
    if (this.pages.value.has(page)) return Promise.resolve();
    let loading = this.loading.get(page);
    if (!loading) {
      const { signal } = this.generation;
      loading = this.page(page, signal)
        .then(({ images }) => {
          if (!signal.aborted) this.pages.value = new Map(this.pages.value).set(page, images);
        })
        .catch((error: unknown) => {
          this.loading.delete(page);
          if (!isAbort(error)) this.problem.value = error instanceof Error ? error.message : String(error);
        });
      this.loading.set(page, loading);
    }
    return loading;
  }

  private page(page: number, signal: AbortSignal): ReturnType<Backend["images"]> {
    const query = { offset: page * PAGE, limit: PAGE, search: this.search.value, status: this.status.value, order: "name" };
    return this.backend.images(query, signal);
  }
}
