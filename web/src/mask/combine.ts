/** Set operations on two masks, in time that goes with their outlines. */

import { type Runs, RunsBuilder } from "./runs";

function combine(a: Runs, b: Runs, keep: (inA: boolean, inB: boolean) => boolean): Runs {
  if (a.height !== b.height || a.width !== b.width) {
    throw new Error(`masks of ${a.width}×${a.height} and ${b.width}×${b.height} cannot be combined`);
  }
  const builder = new RunsBuilder(a.height, a.width, Math.max(16, a.edges.length + b.edges.length));
  let i = 0;
  let j = 0;
  let start = -1;
  while (i < a.edges.length || j < b.edges.length) {
    const nextA = i < a.edges.length ? a.edges[i]! : Infinity;
    const nextB = j < b.edges.length ? b.edges[j]! : Infinity;
    const place = Math.min(nextA, nextB);
    if (nextA === place) i++;
    if (nextB === place) j++;
    const inside = keep(i % 2 === 1, j % 2 === 1);
    if (inside && start < 0) start = place;
    if (!inside && start >= 0) {
      builder.add(start, place);
      start = -1;
    }
  }
  return builder.build();
}

export const union = (a: Runs, b: Runs): Runs => combine(a, b, (x, y) => x || y);
export const subtract = (a: Runs, b: Runs): Runs => combine(a, b, (x, y) => x && !y);
export const intersect = (a: Runs, b: Runs): Runs => combine(a, b, (x, y) => x && y);
export const differ = (a: Runs, b: Runs): Runs => combine(a, b, (x, y) => x !== y);
