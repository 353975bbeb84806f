/** Masks to rings along the edges of their pixels: parts clockwise on the screen, holes the other way round. */

import { eachSpan, type Runs } from "./runs";

interface Verticals {
  x: number[];
  from: number[];
  to: number[];
}

/**
 * All rings of the mask; filled even-odd they give it back to the pixel.
 *
 * Each boundary edge has the mask on its right. Where two pixels touch by a corner alone the ring turns right, so that
 * they stay two parts.
 */
export function trace(runs: Runs): Float64Array[] {
  const { columns, first } = columnSpans(runs);
  const verticals = verticalEdges(columns, first);
  const key = (x: number, y: number): number => x * (runs.height + 1) + y;
  const rightwards = new Set<number>();
  const leftwards = new Set<number>();
  columns.forEach((spans, i) => {
    for (let s = 0; s < spans.length; s += 2) {
      rightwards.add(key(first + i, spans[s]!));
      leftwards.add(key(first + i + 1, spans[s + 1]!));
    }
  });
  const down = new Map<number, number>();
  const up = new Map<number, number>();
  verticals.x.forEach((x, i) => (verticals.to[i]! > verticals.from[i]! ? down : up).set(key(x, verticals.from[i]!), i));

  const seen = new Uint8Array(verticals.x.length);
  const rings: Float64Array[] = [];
  for (let start = 0; start < seen.length; start++) {
    if (seen[start]) continue;
    const points: number[] = [];
    for (let edge = start; !seen[edge]; ) {
      seen[edge] = 1;
      let x = verticals.x[edge]!;
      const y = verticals.to[edge]!;
      points.push(x, verticals.from[edge]!, x, y);
      const goesDown = y > verticals.from[edge]!;
      const goesLeft = goesDown ? leftwards.has(key(x, y)) : !rightwards.has(key(x, y));
      // Along the row up to the next corner: the turn to the right before straight on, and that before the left.
      const [right, ahead, left] = goesLeft ? [up, leftwards, down] : [down, rightwards, up];
      do {
        x += goesLeft ? -1 : 1;
        edge = right.get(key(x, y)) ?? (ahead.has(key(x, y)) ? STRAIGHT : left.get(key(x, y))!);
      } while (edge === STRAIGHT);
    }
    rings.push(Float64Array.from(points));
  }
  return rings;
}

const STRAIGHT = -1;

function columnSpans(runs: Runs): { columns: number[][]; first: number } {
  const columns: number[][] = [];
  let first = -1;
  eachSpan(runs, (x, y0, y1) => {
    if (first < 0) first = x;
    while (columns.length <= x - first) columns.push([]);
    columns[x - first]!.push(y0, y1);
  });
  return { columns, first: Math.max(0, first) };
}

/** Where two neighbouring columns differ: downwards where the mask is on the left of the edge, upwards else. */
function verticalEdges(columns: number[][], first: number): Verticals {
  const edges: Verticals = { x: [], from: [], to: [] };
  const none: number[] = [];
  for (let c = 0; c <= columns.length; c++) {
    const left = columns[c - 1] ?? none;
    const right = columns[c] ?? none;
    let i = 0;
    let j = 0;
    let begun = 0;
    let state = 0; // 1: only the left column is filled, -1: only the right one
    while (i < left.length || j < right.length) {
      const y = Math.min(left[i] ?? Infinity, right[j] ?? Infinity);
      if (left[i] === y) i++;
      if (right[j] === y) j++;
      const next = (i % 2) - (j % 2);
      if (next === state) continue;
      if (state) {
        edges.x.push(first + c);
        edges.from.push(state > 0 ? begun : y);
        edges.to.push(state > 0 ? y : begun);
      }
      state = next;
      begun = y;
    }
  }
  return edges;
}
