/** A finished mask as a mask prompt: logits that are sure inside and outside, as `ImageFrame.mask_to_logits`. */

import { eachSpan, type Runs } from "../mask/runs";
import { imageFrame } from "./frame";

const SATURATED = 20;

/** Which pixels each cell of a smaller side stands for: those from `low` up to, not with, `high`. */
interface Cells {
  low: Int32Array;
  high: Int32Array;
}

/** Whole pixels, by their centres, as Pillow's box filter has them; the nearest one where cells are smaller. */
function cells(pixels: number, count: number): Cells {
  const scale = pixels / count;
  const half = Math.max(scale, 1) / 2;
  const low = new Int32Array(count);
  const high = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    low[i] = Math.max(0, Math.floor((i + 0.5) * scale - half + 0.5));
    high[i] = Math.min(pixels, Math.floor((i + 0.5) * scale + half + 0.5));
  }
  return { low, high };
}

/** side×side logits of the model frame; each cell goes by the share of its pixels that are in the mask. */
export function maskToLogits(runs: Runs, side: number): Float32Array {
  const { h, w } = imageFrame(runs.height, runs.width, side);
  const rows = cells(runs.height, h);
  const columns = cells(runs.width, w);
  const cover = new Float32Array(w * h);
  let left = 0;
  eachSpan(runs, (x, y0, y1) => {
    while (columns.high[left]! <= x) left++;
    for (let column = left; column < w && columns.low[column]! <= x; column++) {
      for (let row = firstCell(rows, y0); row < h && rows.low[row]! < y1; row++) {
        cover[row * w + column]! += Math.min(y1, rows.high[row]!) - Math.max(y0, rows.low[row]!);
      }
    }
  });
  const logits = new Float32Array(side * side).fill(-SATURATED);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const pixels = (rows.high[y]! - rows.low[y]!) * (columns.high[x]! - columns.low[x]!);
      logits[y * side + x] = SATURATED * ((2 * cover[y * w + x]!) / pixels - 1);
    }
  }
  return logits;
}

/** The first cell that ends after a pixel. */
function firstCell({ high }: Cells, pixel: number): number {
  let low = 0;
  let end = high.length;
  while (low < end) {
    const middle = (low + end) >> 1;
    if (high[middle]! <= pixel) low = middle + 1;
    else end = middle;
  }
  return low;
}
