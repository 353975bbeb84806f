/** The click tool: a click is on the object, a right click or a long press beside it, a drag draws a box around it. */

import { signal } from "@preact/signals";
import type { Box } from "../decoder/prompt";
import { settings } from "../state/settings";
import type { Pen } from "../view/pen";
import { hundredths, inside, type Point, slack, type Stage, type Tool } from "./tool";

/** clicks are beside the object, as a right click is; for fingers and pens, the toolbar sets it */
export const minusMode = signal(false);

/** The pointer has to rest this long before its place is asked for, so that a moving one keeps nobody busy. */
const REST_MS = 40;

export class ClickTool implements Tool {
  readonly cursor = "crosshair";
  private from: Point | null = null;
  private box: Box | null = null;
  private resting: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly stage: Stage) {}

  press(at: Point): void {
    clearTimeout(this.resting);
    this.from = at;
    this.box = null;
    const { image, app } = this.stage;
    if (image && inside(image, at) && at.type !== "touch") {
      app.drawing.press({ x: hundredths(at.ix), y: hundredths(at.iy), label: this.labelOf(at) });
    }
  }

  drag(at: Point): void {
    const { from, stage } = this;
    if (!from || !stage.image || from.button !== 0) return;
    if (!this.box && Math.hypot(at.x - from.x, at.y - from.y) <= slack(at)) return;
    if (!this.box) stage.app.drawing.stopHover();
    const { width, height } = stage.image;
    const clampX = (x: number): number => hundredths(Math.min(width, Math.max(0, x)));
    const clampY = (y: number): number => hundredths(Math.min(height, Math.max(0, y)));
    this.box = [
      clampX(Math.min(from.ix, at.ix)),
      clampY(Math.min(from.iy, at.iy)),
      clampX(Math.max(from.ix, at.ix)),
      clampY(Math.max(from.iy, at.iy)),
    ];
    stage.redraw();
  }

  release(at: Point): void {
    const { from, box } = this;
    this.from = this.box = null;
    if (!from) return;
    this.stage.redraw();
    const times = { pressed: from.time, clicked: at.time };
    if (!box) return this.click(from, times);
    if (box[2] - box[0] >= 1 && box[3] - box[1] >= 1) this.stage.app.drawing.setBox(box, times);
  }

  private click(at: Point, times: { pressed: number; clicked: number }): void {
    const { image, app } = this.stage;
    if (!image || !inside(image, at)) return;
    app.drawing.addPoint({ x: hundredths(at.ix), y: hundredths(at.iy), label: this.labelOf(at) }, times);
  }

  longPress(at: Point): void {
    this.from = this.box = null;
    const { image, app } = this.stage;
    if (image && inside(image, at)) app.drawing.addPoint({ x: hundredths(at.ix), y: hundredths(at.iy), label: 0 });
  }

  hover(at: Point): void {
    clearTimeout(this.resting);
    const { app, image } = this.stage;
    if (!settings.peek().hover || !image || !inside(image, at)) return this.leave();
    this.resting = setTimeout(() => void app.drawing.hover(hundredths(at.ix), hundredths(at.iy)), REST_MS);
  }

  leave(): void {
    clearTimeout(this.resting);
    this.stage.app.drawing.stopHover();
  }

  cancel(): void {
    this.from = this.box = null;
    this.leave();
    this.stage.redraw();
  }

  stop(): void {
    this.cancel();
  }

  draw(pen: Pen): void {
    if (!this.box) return;
    const [x0, y0, x1, y1] = this.box;
    const path = new Path2D();
    path.rect(x0, y0, x1 - x0, y1 - y0);
    pen.twoTone(path, 1.5, [6, 4]);
  }

  private labelOf(at: Point): 0 | 1 {
    return (at.button === 2 || at.shift) !== minusMode.peek() ? 0 : 1;
  }
}
