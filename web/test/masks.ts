/** Masks for tests, drawn as text. */

import { type Runs, RunsBuilder } from "../src/mask/runs";

/** Rows of 0 or . and 1 or #. */
export function draw(rows: readonly string[]): Runs {
  const height = rows.length;
  const width = rows[0]?.length ?? 0;
  const builder = new RunsBuilder(height, width);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) if ("1#".includes(rows[y]![x]!)) builder.add(x * height + y, x * height + y + 1);
  }
  return builder.build();
}

export function show(runs: Runs): string[] {
  const rows = Array.from({ length: runs.height }, () => Array<string>(runs.width).fill("."));
  for (let i = 0; i < runs.edges.length; i += 2) {
    for (let place = runs.edges[i]!; place < runs.edges[i + 1]!; place++) {
      rows[place % runs.height]![Math.floor(place / runs.height)] = "#";
    }
  }
  return rows.map((row) => row.join(""));
}

/** Numbers that look random and are the same each time. */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function noise(height: number, width: number, share: number, seed: number): Runs {
  const next = dice(seed);
  return draw(Array.from({ length: height }, () => Array.from({ length: width }, () => (next() < share ? "#" : ".")).join("")));
}
