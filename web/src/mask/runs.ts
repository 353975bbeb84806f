/** Runs: a mask as the places where it changes down its columns, and what can be asked of it without its pixels. */

/**
 * `edges` are positions x·height + y, rising, that alternately begin and end a run of the object; their number is even.
 * A 50-megapixel mask takes a few kilobytes so, and unions cost as much as the outline is long.
 */
export interface Runs {
  readonly height: number;
  readonly width: number;
  readonly edges: Uint32Array;
}

export interface Bounds {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export function emptyRuns(height: number, width: number): Runs {
  return { height, width, edges: new Uint32Array(0) };
}

/** Collects runs in rising order; runs that touch become one. */
export class RunsBuilder {
  private edges: Uint32Array;
  private count = 0;

  constructor(
    private readonly height: number,
    private readonly width: number,
    capacity = 256,
  ) {
    this.edges = new Uint32Array(capacity);
  }

  add(start: number, end: number): void {
    if (end <= start) return;
    const last = this.count - 1;
    if (last >= 0 && this.edges[last]! >= start) {
      if (end > this.edges[last]!) this.edges[last] = end;
      return;
    }
    if (this.count + 2 > this.edges.length) {
      const larger = new Uint32Array(this.edges.length * 2);
      larger.set(this.edges);
      this.edges = larger;
    }
    this.edges[this.count++] = start;
    this.edges[this.count++] = end;
  }

  build(): Runs {
    return { height: this.height, width: this.width, edges: this.edges.slice(0, this.count) };
  }
}

export function area(runs: Runs): number {
  let sum = 0;
  for (let i = 0; i < runs.edges.length; i += 2) sum += runs.edges[i + 1]! - runs.edges[i]!;
  return sum;
}

export function isEmpty(runs: Runs): boolean {
  return runs.edges.length === 0;
}

/** Whether the pixel that holds the point (x, y) is in the mask. */
export function contains(runs: Runs, x: number, y: number): boolean {
  const column = Math.floor(x);
  const row = Math.floor(y);
  if (column < 0 || row < 0 || column >= runs.width || row >= runs.height) return false;
  const place = column * runs.height + row;
  let low = 0;
  let high = runs.edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs.edges[middle]! <= place) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
}

/** Call `visit` with each run within one column, column by column: rows y0 up to, not with, y1. */
export function eachSpan(runs: Runs, visit: (x: number, y0: number, y1: number) => void): void {
  const { height, edges } = runs;
  for (let i = 0; i < edges.length; i += 2) {
    let start = edges[i]!;
    const end = edges[i + 1]!;
    while (start < end) {
      const x = Math.floor(start / height);
      const stop = Math.min(end, (x + 1) * height);
      visit(x, start - x * height, stop - x * height);
      start = stop;
    }
  }
}

/** The smallest rectangle around the mask, x1 and y1 just outside; null for an empty mask. */
export function bounds(runs: Runs): Bounds | null {
  const { height, edges } = runs;
  if (!edges.length) return null;
  const x0 = Math.floor(edges[0]! / height);
  const x1 = Math.floor((edges[edges.length - 1]! - 1) / height) + 1;
  let y0 = height;
  let y1 = 0;
  eachSpan(runs, (_, top, bottom) => {
    if (top < y0) y0 = top;
    if (bottom > y1) y1 = bottom;
  });
  return { x0, y0, x1, y1 };
}

/** The mask scaled to another size, each pixel that of the nearest centre. */
export function rescale(runs: Runs, height: number, width: number): Runs {
  if (height === runs.height && width === runs.width) return runs;
  const columns: number[][] = Array.from({ length: runs.width }, () => []);
  eachSpan(runs, (x, y0, y1) => columns[x]!.push(y0, y1));
  const builder = new RunsBuilder(height, width);
  for (let x = 0; x < width; x++) {
    const spans = columns[Math.min(runs.width - 1, Math.floor(((x + 0.5) * runs.width) / width))]!;
    for (let i = 0; i < spans.length; i += 2) {
      const top = Math.max(0, Math.ceil((spans[i]! * height) / runs.height - 0.5));
      const bottom = Math.min(height, Math.ceil((spans[i + 1]! * height) / runs.height - 0.5));
      builder.add(x * height + top, x * height + bottom);
    }
  }
  return builder.build();
}
