/** Fixations in the movement of a pointer that stands for the eye, found by dispersion (I-DT). */

export interface Sample {
  time: number;
  x: number;
  y: number;
}

export interface Fixation {
  start: number;
  x: number;
  y: number;
}

export interface FixationSettings {
  /** most that the samples lie from their middle, half of width and height together, in CSS pixels */
  radius: number;
  /** least length, in milliseconds */
  duration: number;
}

/** Samples over which a lasting fixation's place is taken, in milliseconds; so it may drift slowly. */
const WINDOW_MS = 1000;

export class FixationFinder {
  private samples: Sample[] = [];
  private current: Fixation | null = null;

  /** Take the next sample; the fixation that goes on, if there is one. */
  add(sample: Sample, { radius, duration }: FixationSettings): Fixation | null {
    this.samples.push(sample);
    if (spread(this.samples) > 4 * radius) {
      this.current = null;
      while (spread(this.samples) > 4 * radius) this.samples.shift();
    }
    const first = this.samples[0]!;
    if (!this.current && sample.time - first.time < duration) return null;
    const start = this.current?.start ?? first.time;
    while (this.samples[0]!.time < sample.time - Math.max(WINDOW_MS, duration)) this.samples.shift();
    const count = this.samples.length;
    this.current = {
      start,
      x: this.samples.reduce((sum, s) => sum + s.x, 0) / count,
      y: this.samples.reduce((sum, s) => sum + s.y, 0) / count,
    };
    return this.current;
  }

  /** How long the samples have stayed together, also before that is a fixation. */
  get since(): number | null {
    return this.current?.start ?? this.samples[0]?.time ?? null;
  }

  reset(): void {
    this.samples = [];
    this.current = null;
  }
}

/** Width and height of the samples together: a circle of some radius has four of it. */
function spread(samples: readonly Sample[]): number {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of samples) {
    x0 = Math.min(x0, x);
    x1 = Math.max(x1, x);
    y0 = Math.min(y0, y);
    y1 = Math.max(y1, y);
  }
  return samples.length ? x1 - x0 + y1 - y0 : 0;
}
