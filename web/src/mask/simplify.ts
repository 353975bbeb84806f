/** Rings with fewer corners: for editing by hand, and for drawing from afar. */

import type { Ring } from "./polygon";

/** Douglas and Peucker's choice of corners: none that is left out is farther than `tolerance` from the ring. */
export function simplify(ring: Ring, tolerance: number): number[] {
  const n = ring.length / 2;
  if (n <= 4) return Array.from(ring);
  const keep = new Uint8Array(n + 1);
  const far = farthest(ring, 0);
  keep[0] = keep[far] = keep[n] = 1;
  const stack: [number, number][] = [
    [0, far],
    [far, n],
  ];
  while (stack.length) {
    const [a, b] = stack.pop()!;
    let worst = tolerance * tolerance;
    let chosen = -1;
    for (let i = a + 1; i < b; i++) {
      const distance = toSegment(ring, i, a, b % n);
      if (distance > worst) {
        worst = distance;
        chosen = i;
      }
    }
    if (chosen < 0) continue;
    keep[chosen] = 1;
    stack.push([a, chosen], [chosen, b]);
  }
  const points: number[] = [];
  for (let i = 0; i < n; i++) if (keep[i]) points.push(ring[2 * i]!, ring[2 * i + 1]!);
  return points.length >= 6 ? points : Array.from(ring);
}

/** Corners snapped to a grid of `step`, doubles left out: cheap, and unseen where a step is under a screen pixel. */
export function coarsen(ring: Ring, step: number): Ring {
  const points: number[] = [];
  let lastX = NaN;
  let lastY = NaN;
  for (let i = 0; i < ring.length; i += 2) {
    const x = Math.round(ring[i]! / step) * step;
    const y = Math.round(ring[i + 1]! / step) * step;
    if (x === lastX && y === lastY) continue;
    points.push((lastX = x), (lastY = y));
  }
  return points;
}

function farthest(ring: Ring, from: number): number {
  let best = 0;
  let chosen = 0;
  for (let i = 0; i < ring.length / 2; i++) {
    const dx = ring[2 * i]! - ring[2 * from]!;
    const dy = ring[2 * i + 1]! - ring[2 * from + 1]!;
    if (dx * dx + dy * dy > best) {
      best = dx * dx + dy * dy;
      chosen = i;
    }
  }
  return chosen;
}

/** Squared distance of corner i to the segment from corner a to corner b. */
function toSegment(ring: Ring, i: number, a: number, b: number): number {
  return squaredDistance(ring[2 * i]!, ring[2 * i + 1]!, ring[2 * a]!, ring[2 * a + 1]!, ring[2 * b]!, ring[2 * b + 1]!);
}

export function squaredDistance(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const dx = bx - ax;
  const dy = by - ay;
  const length = dx * dx + dy * dy;
  const t = length ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  const ex = x - ax - t * dx;
  const ey = y - ay - t * dy;
  return ex * ex + ey * ey;
}
