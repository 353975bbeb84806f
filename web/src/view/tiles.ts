/** Which tiles of an image are needed to show a part of it. */

import type { Size, Viewport } from "./viewport";
import { toImage } from "./viewport";

export const TILE = 512;

export interface Tile {
  level: number;
  x: number;
  y: number;
}

/** The coarsest level that is not enlarged at `scale` device pixels per image pixel. */
export function levelFor(scale: number, image: Size): number {
  const most = Math.max(0, Math.ceil(Math.log2(Math.max(image.width, image.height) / TILE)));
  return Math.min(most, Math.max(0, Math.floor(Math.log2(1 / scale) + 1e-9)));
}

/** The tiles of a level that the stage shows, those in its middle first. */
export function visibleTiles(view: Viewport, stage: Size, image: Size, level: number): Tile[] {
  const step = TILE * 2 ** level;
  const from = toImage(view, 0, 0);
  const to = toImage(view, stage.width, stage.height);
  const x0 = Math.max(0, Math.floor(from.x / step));
  const y0 = Math.max(0, Math.floor(from.y / step));
  const x1 = Math.min(Math.ceil(image.width / step), Math.ceil(to.x / step));
  const y1 = Math.min(Math.ceil(image.height / step), Math.ceil(to.y / step));
  const tiles: Tile[] = [];
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) tiles.push({ level, x, y });
  const middle = { x: (from.x + to.x) / 2 / step - 0.5, y: (from.y + to.y) / 2 / step - 0.5 };
  const far = (tile: Tile): number => Math.hypot(tile.x - middle.x, tile.y - middle.y);
  return tiles.sort((a, b) => far(a) - far(b));
}
