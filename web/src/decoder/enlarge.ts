/** Low-resolution logits to the mask: bilinear to the model frame, cut to the image, bilinear to its pixels, threshold. */

import { type Runs, RunsBuilder } from "../mask/runs";
import type { Frame } from "./frame";

/** For each place along a longer (or shorter) side: the first of the two samples it lies between, and the share of the second. */
export interface Axis {
  first: Int32Array;
  second: Int32Array;
  share: Float32Array;
}

/** Half-pixel centres, edges clamped: PyTorch's bilinear with align_corners=False. */
export function axis(from: number, to: number): Axis {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const share = new Float32Array(to);
  const scale = from / to;
  for (let i = 0; i < to; i++) {
    const place = Math.max(0, (i + 0.5) * scale - 0.5);
    const low = Math.min(from - 1, Math.floor(place));
    first[i] = low;
    second[i] = Math.min(from - 1, low + 1);
    share[i] = place - low;
  }
  return { first, second, share };
}

/** side×side logits of the whole frame to those of the image in it, w columns of h, one after another. */
export function frameColumns(logits: Float32Array, side: number, frame: Frame): Float32Array {
  const { h, w, size } = frame;
  const along = axis(side, size);
  const rows = Math.min(side, along.second[h - 1]! + 1);
  const columns = new Float32Array(w * h);
  const column = new Float32Array(rows);
  for (let x = 0; x < w; x++) {
    const a = along.first[x]!;
    const b = along.second[x]!;
    const t = along.share[x]!;
    for (let y = 0; y < rows; y++) column[y] = logits[y * side + a]! * (1 - t) + logits[y * side + b]! * t;
    const start = x * h;
    for (let y = 0; y < h; y++) {
      const s = along.share[y]!;
      columns[start + y] = column[along.first[y]!]! * (1 - s) + column[along.second[y]!]! * s;
    }
  }
  return columns;
}

/**
 * The mask in original pixels, of the columns that `frameColumns` gave.
 *
 * Between two samples on the same side of the threshold nothing can change, so only the pixels between samples on
 * different sides are worked out: the time goes with the frame and the image's width, not with its area.
 */
export function fullMask(columns: Float32Array, frame: Frame, threshold: number): Runs {
  const { h, w, height, width } = frame;
  const across = axis(w, width);
  const down = axis(h, height);
  const stops = segmentStops(down);
  const builder = new RunsBuilder(height, width, 4096);
  const column = new Float32Array(h);
  for (let x = 0; x < width; x++) {
    const a = across.first[x]! * h;
    const b = across.second[x]! * h;
    const t = across.share[x]!;
    for (let y = 0; y < h; y++) column[y] = columns[a + y]! * (1 - t) + columns[b + y]! * t;
    const start = x * height;
    let begun = -1;
    for (let y = 0; y < height; ) {
      const low = column[down.first[y]!]!;
      const high = column[down.second[y]!]!;
      const stop = stops[y]!;
      if (low > threshold === high > threshold) {
        if (low > threshold && begun < 0) begun = y;
        if (!(low > threshold) && begun >= 0) {
          builder.add(start + begun, start + y);
          begun = -1;
        }
        y = stop;
        continue;
      }
      for (; y < stop; y++) {
        const inside = low * (1 - down.share[y]!) + high * down.share[y]! > threshold;
        if (inside && begun < 0) begun = y;
        if (!inside && begun >= 0) {
          builder.add(start + begun, start + y);
          begun = -1;
        }
      }
    }
    if (begun >= 0) builder.add(start + begun, start + height);
  }
  return builder.build();
}

/** For each place, the next place that lies between other samples. */
function segmentStops(down: Axis): Int32Array {
  const n = down.first.length;
  const stops = new Int32Array(n);
  for (let i = n - 1; i >= 0; i--) {
    stops[i] = i + 1 < n && down.first[i + 1] === down.first[i] ? stops[i + 1]! : i + 1;
  }
  return stops;
}

/** The mask in the frame as an image of one colour, RGBA, h rows of w. */
export function paint(columns: Float32Array, frame: Frame, threshold: number, colour: number): Uint8ClampedArray<ArrayBuffer> {
  const { h, w } = frame;
  const pixels = new Uint8ClampedArray(4 * w * h);
  const words = new Uint32Array(pixels.buffer);
  for (let x = 0; x < w; x++) {
    const start = x * h;
    for (let y = 0; y < h; y++) if (columns[start + y]! > threshold) words[y * w + x] = colour;
  }
  return pixels;
}

/** #rrggbb as a word of little-endian RGBA. */
export function colourWord(colour: string, alpha = 255): number {
  const value = Number.parseInt(colour.slice(1), 16);
  return ((alpha << 24) | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}
