/** Rings, closed polygons as x, y, x, y, …, to masks: even-odd, so a ring within a ring is a hole. */

import { type Runs, RunsBuilder } from "./runs";

export type Ring = Float64Array | number[];

/** The pixels whose centres are inside an odd number of rings. */
export function fill(rings: readonly Ring[], height: number, width: number): Runs {
  const crossings = new Map<number, number[]>();
  for (const ring of rings) {
    const n = ring.length / 2;
    for (let i = 0; i < n; i++) {
      const j = (i + 1) % n;
      addEdge(crossings, width, ring[2 * i]!, ring[2 * i + 1]!, ring[2 * j]!, ring[2 * j + 1]!);
    }
  }
  const builder = new RunsBuilder(height, width);
  for (const x of [...crossings.keys()].sort((a, b) => a - b)) {
    const ys = crossings.get(x)!.sort((a, b) => a - b);
    for (let i = 0; i + 1 < ys.length; i += 2) {
      const top = Math.min(height, Math.max(0, Math.ceil(ys[i]! - 0.5)));
      const bottom = Math.min(height, Math.max(0, Math.ceil(ys[i + 1]! - 0.5)));
      builder.add(x * height + top, x * height + bottom);
    }
  }
  return builder.build();
}

/** Note where an edge crosses the middle of each column. */
function addEdge(crossings: Map<number, number[]>, width: number, x0: number, y0: number, x1: number, y1: number): void {
  if (x0 === x1) return;
  const left = Math.min(x0, x1);
  const right = Math.max(x0, x1);
  const first = Math.max(0, Math.ceil(left - 0.5));
  const end = Math.min(width, Math.ceil(right - 0.5));
  for (let x = first; x < end; x++) {
    const y = y0 + ((x + 0.5 - x0) * (y1 - y0)) / (x1 - x0);
    const column = crossings.get(x);
    if (column) column.push(y);
    else crossings.set(x, [y]);
  }
}

/** Twice the signed area: positive where the ring runs clockwise on the screen. */
export function signedArea(ring: Ring): number {
  let sum = 0;
  const n = ring.length / 2;
  for (let i = 0; i < n; i++) {
    const j = (i + 1) % n;
    sum += ring[2 * i]! * ring[2 * j + 1]! - ring[2 * j]! * ring[2 * i + 1]!;
  }
  return sum;
}
