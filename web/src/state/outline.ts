/** A mask with what drawing it takes: rings, made when first needed, and paths for several distances. */

import { decodeRle, encodeRle, type RLE } from "../mask/rle";
import { area, type Bounds, bounds, contains, type Runs } from "../mask/runs";
import { coarsen } from "../mask/simplify";
import { trace } from "../mask/trace";

export class Outline {
  private paths = new Map<number, Path2D>();
  private traced: Float64Array[] | null;
  private box: Bounds | null | undefined;
  private encoded: RLE | undefined;
  private size: number | undefined;

  constructor(
    readonly runs: Runs,
    rings: Float64Array[] | null = null,
  ) {
    this.traced = rings;
  }

  get rings(): Float64Array[] {
    return (this.traced ??= trace(this.runs));
  }

  get bounds(): Bounds | null {
    if (this.box === undefined) this.box = bounds(this.runs);
    return this.box;
  }

  get area(): number {
    return (this.size ??= area(this.runs));
  }

  contains(x: number, y: number): boolean {
    return contains(this.runs, x, y);
  }

  get rle(): RLE {
    return (this.encoded ??= encodeRle(this.runs));
  }

  /** The outline as a path, in image pixels, with no more detail than a screen of `scale` pixels per image pixel shows. */
  path(scale: number): Path2D {
    const level = Math.max(0, Math.floor(Math.log2(0.7 / scale)));
    let path = this.paths.get(level);
    if (!path) {
      path = new Path2D();
      for (const ring of this.rings) addRing(path, level > 0 ? coarsen(ring, 2 ** level) : ring);
      this.paths.set(level, path);
    }
    return path;
  }
}

function addRing(path: Path2D, ring: ArrayLike<number>): void {
  if (ring.length < 6) return;
  path.moveTo(ring[0]!, ring[1]!);
  for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i]!, ring[i + 1]!);
  path.closePath();
}

/** Outlines of saved masks, each made once; those that are no longer shown go with their records. */
const known = new WeakMap<RLE, Outline>();

export function outlineOf(rle: RLE): Outline {
  let outline = known.get(rle);
  if (!outline) known.set(rle, (outline = new Outline(decodeRle(rle))));
  return outline;
}
