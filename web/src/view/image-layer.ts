/** The image itself on its canvas: a small picture of all of it at once, finer parts as they come. */

import type { Picture } from "../api/backend";
import { loadBitmap, TileCache } from "./tile-cache";
import { levelFor, TILE, type Tile, visibleTiles } from "./tiles";
import type { Size, Viewport } from "./viewport";

/** device pixels per image pixel from which on single pixels are shown as squares */
const SQUARES = 4;

export class ImageLayer {
  private preview: ImageBitmap | null = null;
  private whole: ImageBitmap | null = null;
  private readonly tiles: TileCache | null;
  private readonly stop = new AbortController();
  private wholeAsked = false;
  problem = "";

  constructor(
    private readonly picture: Picture,
    readonly image: Size,
    private readonly onChange: () => void,
  ) {
    this.tiles = picture.tile && new TileCache(picture.tile, onChange);
    loadBitmap(picture.preview, this.stop.signal)
      .then((bitmap) => (this.preview = bitmap))
      .catch(() => (this.problem = "The image could not be loaded."))
      .finally(onChange);
  }

  get isShown(): boolean {
    return this.preview !== null;
  }

  close(): void {
    this.stop.abort();
    this.tiles?.close();
    this.preview?.close();
    this.whole?.close();
  }

  draw(context: CanvasRenderingContext2D, view: Viewport, stage: Size, ratio: number): void {
    const scale = view.scale * ratio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    context.imageSmoothingEnabled = scale < SQUARES;
    context.imageSmoothingQuality = "high";
    const picture = this.whole ?? this.preview;
    if (picture) this.place(context, picture, view, ratio, 0, 0, this.image.width, this.image.height);
    const isEnlarged = this.preview !== null && scale > (1.01 * this.preview.width) / this.image.width;
    if (this.tiles && isEnlarged) this.drawTiles(context, view, stage, ratio);
    else this.tiles?.want([]);
    if (isEnlarged && this.picture.whole && this.preview!.width < this.image.width) this.loadWhole(this.picture.whole);
  }

  private drawTiles(context: CanvasRenderingContext2D, view: Viewport, stage: Size, ratio: number): void {
    const level = levelFor(view.scale * ratio, this.image);
    const wanted = visibleTiles(view, stage, this.image, level);
    this.tiles!.want(wanted);
    // Coarser tiles that are there already fill in until the finer ones come.
    for (let coarser = level + 2; coarser > level; coarser--) {
      for (const tile of visibleTiles(view, stage, this.image, coarser)) this.drawTile(context, tile, view, ratio);
    }
    for (const tile of wanted) this.drawTile(context, tile, view, ratio);
  }

  private drawTile(context: CanvasRenderingContext2D, tile: Tile, view: Viewport, ratio: number): void {
    const bitmap = this.tiles!.get(tile);
    if (!bitmap) return;
    const pixel = 2 ** tile.level;
    const x = tile.x * TILE * pixel;
    const y = tile.y * TILE * pixel;
    this.place(context, bitmap, view, ratio, x, y, x + bitmap.width * pixel, y + bitmap.height * pixel);
  }

  /** Draw on whole device pixels, so that no seams are seen between tiles. */
  private place(
    context: CanvasRenderingContext2D,
    bitmap: ImageBitmap,
    view: Viewport,
    ratio: number,
    x0: number,
    y0: number,
    x1: number,
    y1: number,
  ): void {
    const left = Math.round((x0 * view.scale + view.left) * ratio);
    const top = Math.round((y0 * view.scale + view.top) * ratio);
    const right = Math.round((x1 * view.scale + view.left) * ratio);
    const bottom = Math.round((y1 * view.scale + view.top) * ratio);
    context.drawImage(bitmap, left, top, right - left, bottom - top);
  }

  private loadWhole(url: string): void {
    if (this.wholeAsked) return;
    this.wholeAsked = true;
    loadBitmap(url, this.stop.signal)
      .then((bitmap) => {
        this.whole = bitmap;
        this.onChange();
      })
      .catch(() => undefined);
  }
}
