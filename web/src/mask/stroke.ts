/** A brush stroke, a round pen along a line of points, as a mask. */

import { type Runs, RunsBuilder } from "./runs";

/** `points` are x, y, x, y, …; a single point makes a disc. A pen thinner than a pixel still marks the pixels it meets. */
export function stroke(points: readonly number[], radius: number, height: number, width: number): Runs {
  const pen = Math.max(radius, 0.5);
  const columns = new Map<number, number[]>();
  for (let i = 0; i < points.length; i += 2) {
    const j = Math.max(0, i - 2);
    addCapsule(columns, points[j]!, points[j + 1]!, points[i]!, points[i + 1]!, pen, height, width);
  }
  const builder = new RunsBuilder(height, width);
  for (const x of [...columns.keys()].sort((a, b) => a - b)) {
    const spans = columns.get(x)!;
    const order = Array.from({ length: spans.length / 2 }, (_, i) => 2 * i).sort((a, b) => spans[a]! - spans[b]!);
    for (const i of order) builder.add(x * height + spans[i]!, x * height + spans[i + 1]!);
  }
  return builder.build();
}

/** A capsule is convex, so it meets each column in one span: that around the spans of its two discs and its rectangle. */
function addCapsule(
  columns: Map<number, number[]>,
  ax: number,
  ay: number,
  bx: number,
  by: number,
  radius: number,
  height: number,
  width: number,
): void {
  const length = Math.hypot(bx - ax, by - ay);
  const nx = length ? (-(by - ay) / length) * radius : 0;
  const ny = length ? ((bx - ax) / length) * radius : 0;
  const corners = [ax + nx, ay + ny, bx + nx, by + ny, bx - nx, by - ny, ax - nx, ay - ny];
  const first = Math.max(0, Math.ceil(Math.min(ax, bx) - radius - 0.5));
  const last = Math.min(width - 1, Math.floor(Math.max(ax, bx) + radius - 0.5));
  for (let x = first; x <= last; x++) {
    const centre = x + 0.5;
    let low = Infinity;
    let high = -Infinity;
    const include = (y: number): void => {
      if (y < low) low = y;
      if (y > high) high = y;
    };
    for (const [px, py] of [
      [ax, ay],
      [bx, by],
    ] as const) {
      const rest = radius * radius - (centre - px) ** 2;
      if (rest < 0) continue;
      include(py - Math.sqrt(rest));
      include(py + Math.sqrt(rest));
    }
    for (let i = 0; length && i < 8; i += 2) {
      const j = (i + 2) % 8;
      const [x0, y0, x1, y1] = [corners[i]!, corners[i + 1]!, corners[j]!, corners[j + 1]!];
      if ((centre - x0) * (centre - x1) <= 0 && x0 !== x1) include(y0 + ((centre - x0) * (y1 - y0)) / (x1 - x0));
    }
    const top = Math.max(0, Math.ceil(low - 0.5));
    const bottom = Math.min(height, Math.floor(high - 0.5) + 1);
    if (top >= bottom) continue;
    const column = columns.get(x);
    if (column) column.push(top, bottom);
    else columns.set(x, [top, bottom]);
  }
}
