/** The polygon tool: corner by corner a new ring, a part or a hole; or the corners of the mask that is there. */

import { signal } from "@preact/signals";
import { subtract, union } from "../mask/combine";
import { fill, signedArea } from "../mask/polygon";
import type { Runs } from "../mask/runs";
import { simplify, squaredDistance } from "../mask/simplify";
import { outlineOf } from "../state/outline";
import { type Pen, ringPath } from "../view/pen";
import { hundredths, type Point, slack, type Stage, type Tool } from "./tool";

interface Corner {
  ring: number;
  /** place of its x in the ring */
  at: number;
}

/** whether the next ring cuts a hole; the toolbar sets it too */
export const cutsHole = signal(false);

const DOUBLE_MS = 350;
const SPECK_PX = 6;

export class PolygonTool implements Tool {
  readonly cursor = "crosshair";
  private rings: number[][] = [];
  /** the mask that the rings were made of, or made */
  private of: Runs | null = null;
  /** what the rings hold, which is coarser than the mask */
  private held: Runs | null = null;
  private drawing: number[] = [];
  private grabbed: Corner | null = null;
  private chosen: Corner | null = null;
  private from: Point | null = null;
  private pointer: Point | null = null;
  private changed = false;
  private lastClick = 0;

  constructor(private readonly stage: Stage) {}

  press(at: Point): void {
    this.from = this.pointer = at;
    this.changed = false;
    this.sync();
    if (this.drawing.length) return;
    const corner = this.cornerAt(at);
    if (corner && (at.button === 2 || at.alt)) {
      this.from = null;
      return this.removeCorner(corner);
    }
    if (corner) this.hold();
    this.grabbed = this.chosen = corner ?? (at.button === 0 ? this.insertAt(at) : null);
    this.stage.redraw();
  }

  drag(at: Point): void {
    this.pointer = at;
    if (this.grabbed) {
      const ring = this.rings[this.grabbed.ring]!;
      ring[this.grabbed.at] = hundredths(at.ix);
      ring[this.grabbed.at + 1] = hundredths(at.iy);
      this.changed = true;
    }
    this.stage.redraw();
  }

  release(at: Point): void {
    const { from, grabbed } = this;
    this.from = this.grabbed = null;
    if (grabbed) {
      if (this.changed) this.apply(this.hold());
      return;
    }
    if (!from || at.button !== 0 || Math.hypot(at.x - from.x, at.y - from.y) > 3 * slack(at)) return;
    const isDouble = at.time - this.lastClick < DOUBLE_MS;
    this.lastClick = at.time;
    if (this.drawing.length >= 6 && (isDouble || this.isNear(at, this.drawing[0]!, this.drawing[1]!))) return this.close();
    this.drawing.push(hundredths(at.ix), hundredths(at.iy));
    this.stage.redraw();
  }

  /** On a finger a long press on a corner removes it. */
  longPress(at: Point): void {
    this.from = this.grabbed = null;
    const corner = this.cornerAt(at);
    if (corner) this.removeCorner(corner);
  }

  hover(at: Point): void {
    this.pointer = at;
    this.stage.redraw();
  }

  leave(): void {
    this.pointer = null;
    this.stage.redraw();
  }

  cancel(): void {
    this.from = this.grabbed = null;
    this.of = null;
    this.stage.redraw();
  }

  stop(): void {
    this.drawing = [];
    this.cancel();
  }

  key(key: string): boolean {
    if (key === "Enter" && this.drawing.length >= 6) this.close();
    else if (key === "Escape" && this.drawing.length) this.drawing = [];
    else if ((key === "Backspace" || key === "Delete") && this.drawing.length) this.drawing.splice(-2);
    else if ((key === "Backspace" || key === "Delete") && this.chosen) this.removeCorner(this.chosen);
    else return false;
    this.stage.redraw();
    return true;
  }

  draw(pen: Pen): void {
    this.sync();
    const { context } = pen;
    for (const [r, ring] of this.rings.entries()) {
      pen.twoTone(ringPath(ring, true), 1.25);
      for (let i = 0; i < ring.length; i += 2) {
        const isChosen = this.chosen?.ring === r && this.chosen.at === i;
        const half = pen.px(isChosen ? 5 : 3.5);
        context.fillStyle = isChosen ? "#ffd166" : "#fff";
        context.strokeStyle = "#000";
        context.lineWidth = pen.px(1);
        context.fillRect(ring[i]! - half, ring[i + 1]! - half, 2 * half, 2 * half);
        context.strokeRect(ring[i]! - half, ring[i + 1]! - half, 2 * half, 2 * half);
      }
    }
    if (!this.drawing.length) return;
    const line = this.pointer ? [...this.drawing, this.pointer.ix, this.pointer.iy] : this.drawing;
    pen.twoTone(ringPath(line, false), 1.5, cutsHole.peek() ? [5, 4] : []);
    for (let i = 0; i < this.drawing.length; i += 2) pen.circle(this.drawing[i]!, this.drawing[i + 1]!, pen.px(i ? 2.5 : 5));
  }

  /** Take the corners of the mask that is in the making or selected, unless they are those of this tool's own doing. */
  private sync(): void {
    const workspace = this.stage.app.workspace.peek();
    const draft = workspace?.draft.peek();
    const selected = workspace?.selectedObject.peek();
    const outline = draft ? draft.outline : selected ? outlineOf(selected.segmentation) : null;
    if ((outline?.runs ?? null) === this.of || this.grabbed) return;
    this.of = outline?.runs ?? null;
    this.chosen = null;
    const tolerance = Math.max(0.75, 1.5 / this.stage.view.scale);
    // Specks too small to take hold of stay as they are.
    const least = 2 * (SPECK_PX / this.stage.view.scale) ** 2;
    const rings = outline?.rings.filter((ring) => Math.abs(signedArea(ring)) > least) ?? [];
    this.rings = rings.map((ring) => simplify(ring, tolerance));
    this.held = null;
  }

  /** Bring into the mask what moved between the rings before and now; elsewhere it keeps its detail. */
  private apply(before: Runs): void {
    const { app, image } = this.stage;
    const workspace = app.workspace.peek();
    if (!image || !workspace || !this.of) return;
    if (!workspace.draft.peek()) {
      const selected = workspace.selectedObject.peek();
      if (selected) app.drawing.refine(selected);
    }
    const now = fill(this.rings, image.height, image.width);
    this.held = now;
    this.of = subtract(union(this.of, subtract(now, before)), subtract(before, now));
    app.drawing.replace(this.of, "polygon", { kind: "polygon" });
  }

  /** What the rings hold before they are changed. */
  private hold(): Runs {
    const { height, width } = this.stage.image!;
    return (this.held ??= fill(this.rings, height, width));
  }

  private close(): void {
    const { app, image } = this.stage;
    const ring = this.drawing;
    this.drawing = [];
    if (image) app.drawing.paint(fill([ring], image.height, image.width), cutsHole.peek(), "polygon", { kind: "polygon" });
    cutsHole.value = false;
    this.stage.redraw();
  }

  private cornerAt(at: Point): Corner | null {
    let best: Corner | null = null;
    let least = reach(at) ** 2;
    this.rings.forEach((ring, r) => {
      for (let i = 0; i < ring.length; i += 2) {
        const distance = ((ring[i]! - at.ix) ** 2 + (ring[i + 1]! - at.iy) ** 2) * this.stage.view.scale ** 2;
        if (distance <= least) {
          least = distance;
          best = { ring: r, at: i };
        }
      }
    });
    return best;
  }

  /** A press on a side makes a corner there. */
  private insertAt(at: Point): Corner | null {
    const most = (0.7 * reach(at)) ** 2;
    for (const [r, ring] of this.rings.entries()) {
      for (let i = 0; i < ring.length; i += 2) {
        const j = (i + 2) % ring.length;
        const d = squaredDistance(at.ix, at.iy, ring[i]!, ring[i + 1]!, ring[j]!, ring[j + 1]!);
        if (d * this.stage.view.scale ** 2 > most) continue;
        this.hold();
        ring.splice(i + 2, 0, hundredths(at.ix), hundredths(at.iy));
        return { ring: r, at: i + 2 };
      }
    }
    return null;
  }

  private removeCorner({ ring, at }: Corner): void {
    const points = this.rings[ring];
    if (!points) return;
    const before = this.hold();
    points.splice(at, 2);
    if (points.length < 6) this.rings.splice(ring, 1);
    this.chosen = null;
    this.apply(before);
    this.stage.redraw();
  }

  private isNear(at: Point, x: number, y: number): boolean {
    return Math.hypot(x - at.ix, y - at.iy) * this.stage.view.scale <= reach(at);
  }
}

/** how far from a corner a press may be to take it, in CSS pixels */
function reach(at: Point): number {
  return at.type === "touch" ? 18 : 8;
}
