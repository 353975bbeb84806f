/** The brush and the eraser: strokes that add to a mask or take from it. */

import { stroke } from "../mask/stroke";
import { settings } from "../state/settings";
import type { Pen } from "../view/pen";
import { ringPath } from "../view/pen";
import { hundredths, type Point, type Stage, type Tool } from "./tool";

export class BrushTool implements Tool {
  readonly cursor = "none";
  private points: number[] = [];
  private radius = 0;
  private erasing = false;
  private at: { x: number; y: number } | null = null;

  constructor(
    private readonly stage: Stage,
    private readonly erases: boolean,
  ) {}

  press(at: Point): void {
    // The right button, and Shift, do what the other of the two tools does.
    this.erasing = this.erases !== (at.button === 2 || at.shift);
    this.radius = settings.peek().brush / 2 / this.stage.view.scale;
    this.points = [hundredths(at.ix), hundredths(at.iy)];
    this.move(at);
  }

  drag(at: Point): void {
    const n = this.points.length;
    if (!n) return;
    const far = Math.hypot(at.ix - this.points[n - 2]!, at.iy - this.points[n - 1]!) * this.stage.view.scale;
    if (far >= 1.5) this.points.push(hundredths(at.ix), hundredths(at.iy));
    this.move(at);
  }

  release(at: Point): void {
    this.drag(at);
    const { points, stage } = this;
    this.points = [];
    stage.redraw();
    if (!points.length || !stage.image) return;
    const pixels = stroke(points, this.radius, stage.image.height, stage.image.width);
    if (!pixels.edges.length) return;
    stage.app.drawing.paint(pixels, this.erasing, "brush", { kind: this.erasing ? "erase" : "brush" });
  }

  cancel(): void {
    this.points = [];
    this.stage.redraw();
  }

  hover(at: Point): void {
    this.move(at);
  }

  leave(): void {
    this.at = null;
    this.stage.redraw();
  }

  stop(): void {
    this.cancel();
    this.leave();
  }

  draw(pen: Pen): void {
    const { context } = pen;
    if (this.points.length) {
      const { app } = this.stage;
      const label = app.workspace.peek()?.draft.peek()?.label.peek() ?? app.labels.current.peek();
      context.globalAlpha = 0.6;
      context.strokeStyle = this.erasing ? "#000" : app.labels.colourOf(label);
      context.lineWidth = 2 * this.radius;
      const path = ringPath(this.points.length === 2 ? [...this.points, ...this.points] : this.points, false);
      context.stroke(path);
      context.globalAlpha = 1;
    }
    if (this.at) pen.circle(this.at.x, this.at.y, pen.px(settings.peek().brush / 2), 1);
  }

  private move(at: Point): void {
    this.at = { x: at.ix, y: at.iy };
    this.stage.redraw();
  }
}
