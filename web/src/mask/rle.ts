/** COCO's compressed run-length text, written and read. */

import { type Runs, RunsBuilder } from "./runs";

/** `size` is [height, width]; `counts` runs down the columns, background first. */
export interface RLE {
  size: [number, number];
  counts: string;
}

export class MaskError extends Error {}

/** Lengths of the runs, background first. */
export function runLengths(runs: Runs): number[] {
  const total = runs.height * runs.width;
  const lengths: number[] = [];
  let last = 0;
  for (const edge of runs.edges) {
    lengths.push(edge - last);
    last = edge;
  }
  if (last < total || !lengths.length) lengths.push(total - last);
  return lengths;
}

export function encodeRle(runs: Runs): RLE {
  const lengths = runLengths(runs);
  const codes: number[] = [];
  for (let i = 0; i < lengths.length; i++) {
    let value = lengths[i]!;
    if (i > 2) value -= lengths[i - 2]!;
    for (let more = true; more; ) {
      let digit = value & 0x1f;
      value >>= 5;
      more = digit & 0x10 ? value !== -1 : value !== 0;
      if (more) digit |= 0x20;
      codes.push(digit + 48);
    }
  }
  let counts = "";
  // A call takes a limited number of arguments, so long texts are made in pieces.
  for (let i = 0; i < codes.length; i += 8192) counts += String.fromCharCode(...codes.slice(i, i + 8192));
  return { size: [runs.height, runs.width], counts };
}

export function decodeRle(rle: RLE): Runs {
  const [height, width] = rle.size;
  const builder = new RunsBuilder(height, width, Math.max(16, rle.counts.length));
  const text = rle.counts;
  const lengths: number[] = [];
  let at = 0;
  let place = 0;
  while (at < text.length) {
    let value = 0;
    let shift = 0;
    for (let more = true; more; ) {
      const digit = text.charCodeAt(at++) - 48;
      if (!(digit >= 0 && digit < 64)) throw new MaskError("a mask's counts are cut short, or no counts");
      value |= (digit & 0x1f) << shift;
      more = (digit & 0x20) !== 0;
      shift += 5;
      if (!more && digit & 0x10) value |= -1 << shift;
    }
    const index = lengths.length;
    if (index > 2) value += lengths[index - 2]!;
    if (value < 0) throw new MaskError("a mask has a run of negative length");
    lengths.push(value);
    if (index % 2 === 1) builder.add(place, place + value);
    place += value;
  }
  if (place !== height * width) {
    throw new MaskError(`a mask's runs add up to ${place} pixels, but its size ${width}×${height} has ${height * width}`);
  }
  return builder.build();
}
