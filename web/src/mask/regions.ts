/** Connected parts of a mask and its holes, and a mask without its specks. */

import { area, eachSpan, type Runs, RunsBuilder } from "./runs";
import { differ, union } from "./combine";

interface Span {
  x: number;
  y0: number;
  y1: number;
}

/** The 8-connected parts, largest first. */
export function parts(runs: Runs): Runs[] {
  const spans: Span[] = [];
  eachSpan(runs, (x, y0, y1) => spans.push({ x, y0, y1 }));
  const parent = spans.map((_, i) => i);
  const root = (i: number): number => {
    while (parent[i] !== i) i = parent[i] = parent[parent[i]!]!;
    return i;
  };
  // Spans lie in order of columns and rows, so a span's neighbours to the left are a window that only moves on.
  let window = 0;
  for (let i = 0; i < spans.length; i++) {
    const span = spans[i]!;
    while (spans[window]!.x < span.x - 1 || (spans[window]!.x === span.x - 1 && spans[window]!.y1 < span.y0)) window++;
    for (let j = window; j < i && spans[j]!.x === span.x - 1 && spans[j]!.y0 <= span.y1; j++) {
      parent[root(i)] = root(j);
    }
  }
  const builders = new Map<number, RunsBuilder>();
  spans.forEach((span, i) => {
    const at = root(i);
    let builder = builders.get(at);
    if (!builder) builders.set(at, (builder = new RunsBuilder(runs.height, runs.width, 16)));
    builder.add(span.x * runs.height + span.y0, span.x * runs.height + span.y1);
  });
  return [...builders.values()].map((builder) => builder.build()).sort((a, b) => area(b) - area(a));
}

/** The mask with holes filled, and parts dropped, that are smaller than `share` of it; the largest part stays. */
export function tidy(runs: Runs, share = 0.02): Runs {
  const least = share * area(runs);
  let whole = runs;
  for (const hole of parts(complement(runs))) if (area(hole) < least) whole = union(whole, hole);
  const [largest, ...others] = parts(whole);
  if (!largest) return runs;
  return others.filter((part) => area(part) >= least).reduce(union, largest);
}

function complement(runs: Runs): Runs {
  return differ(runs, { ...runs, edges: Uint32Array.of(0, runs.height * runs.width) });
}
