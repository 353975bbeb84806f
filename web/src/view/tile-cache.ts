/** Tiles as they come from the server: few at a time, no longer wanted ones stopped, the latest used ones kept. */

import type { Tile } from "./tiles";

const AT_ONCE = 6;
/** a tile takes up to 1 MB */
const KEPT = 160;

export class TileCache {
  private readonly bitmaps = new Map<string, ImageBitmap>();
  private readonly loading = new Map<string, AbortController>();
  private readonly failed = new Set<string>();
  private wanted: Tile[] = [];

  constructor(
    private readonly url: (level: number, x: number, y: number) => string,
    private readonly onLoad: () => void,
  ) {}

  get(tile: Tile): ImageBitmap | null {
    const key = keyOf(tile);
    const bitmap = this.bitmaps.get(key);
    if (!bitmap) return null;
    this.bitmaps.delete(key);
    this.bitmaps.set(key, bitmap);
    return bitmap;
  }

  /** Load these, first first. */
  want(tiles: Tile[]): void {
    this.wanted = tiles;
    const keys = new Set(tiles.map(keyOf));
    for (const [key, stop] of this.loading) if (!keys.has(key)) stop.abort();
    this.loadMore();
  }

  close(): void {
    this.wanted = [];
    for (const stop of this.loading.values()) stop.abort();
    for (const bitmap of this.bitmaps.values()) bitmap.close();
    this.bitmaps.clear();
  }

  private loadMore(): void {
    for (const tile of this.wanted) {
      if (this.loading.size >= AT_ONCE) return;
      const key = keyOf(tile);
      if (!this.bitmaps.has(key) && !this.loading.has(key) && !this.failed.has(key)) void this.load(tile, key);
    }
  }

  private async load(tile: Tile, key: string): Promise<void> {
    const stop = new AbortController();
    this.loading.set(key, stop);
    try {
      const bitmap = await loadBitmap(this.url(tile.level, tile.x, tile.y), stop.signal);
      this.bitmaps.set(key, bitmap);
      for (const [oldest, old] of this.bitmaps) {
        if (this.bitmaps.size <= KEPT) break;
        old.close();
        this.bitmaps.delete(oldest);
      }
      this.onLoad();
    } catch {
      if (!stop.signal.aborted) this.failed.add(key);
    } finally {
      this.loading.delete(key);
      this.loadMore();
    }
  }
}

function keyOf({ level, x, y }: Tile): string {
  return `${level}/${x}/${y}`;
}

export async function loadBitmap(url: string, signal: AbortSignal): Promise<ImageBitmap> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return createImageBitmap(await response.blob());
}
