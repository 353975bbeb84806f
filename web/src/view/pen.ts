/** Drawing over the image: a canvas context in image pixels, with sizes on the screen. */

import type { Outline } from "../state/outline";
import type { Size, Viewport } from "./viewport";

export class Pen {
  constructor(
    readonly context: CanvasRenderingContext2D,
    readonly view: Viewport,
    readonly stage: Size,
    readonly ratio: number,
  ) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    const scale = view.scale * ratio;
    context.setTransform(scale, 0, 0, scale, view.left * ratio, view.top * ratio);
    context.lineJoin = context.lineCap = "round";
  }

  /** CSS pixels as image pixels. */
  px(length: number): number {
    return length / this.view.scale;
  }

  isVisible(outline: Outline): boolean {
    const box = outline.bounds;
    if (!box) return false;
    const { scale, left, top } = this.view;
    return (
      box.x1 * scale + left > 0 &&
      box.y1 * scale + top > 0 &&
      box.x0 * scale + left < this.stage.width &&
      box.y0 * scale + top < this.stage.height
    );
  }

  mask(outline: Outline, colour: string, fill: number, line: number): void {
    if (!this.isVisible(outline)) return;
    const { context } = this;
    const path = outline.path(this.view.scale * this.ratio);
    context.fillStyle = context.strokeStyle = colour;
    if (fill > 0) {
      context.globalAlpha = fill;
      context.fill(path, "evenodd");
    }
    context.globalAlpha = 1;
    if (line > 0) {
      context.lineWidth = this.px(line);
      context.stroke(path);
    }
  }

  picture(bitmap: ImageBitmap, image: Size, alpha: number): void {
    this.context.globalAlpha = alpha;
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(bitmap, 0, 0, image.width, image.height);
    this.context.globalAlpha = 1;
  }

  /** A line that is seen on any ground: white on black. */
  twoTone(path: Path2D, width = 1.5, dash: number[] = []): void {
    const { context } = this;
    context.setLineDash(dash.map((length) => this.px(length)));
    context.strokeStyle = "rgb(0 0 0 / 0.75)";
    context.lineWidth = this.px(width + 2);
    context.stroke(path);
    context.strokeStyle = "#fff";
    context.lineWidth = this.px(width);
    context.stroke(path);
    context.setLineDash([]);
  }

  /** A click: a disc with a plus or a minus, so that colour is not all that tells them apart. */
  click(x: number, y: number, label: number, isWaiting: boolean): void {
    const { context } = this;
    const r = this.px(7);
    context.globalAlpha = isWaiting ? 0.55 : 1;
    context.beginPath();
    context.arc(x, y, r, 0, 2 * Math.PI);
    context.fillStyle = label ? "#12883f" : "#c62828";
    context.fill();
    context.strokeStyle = "#fff";
    context.lineWidth = this.px(1.75);
    context.stroke();
    context.beginPath();
    context.moveTo(x - r / 2, y);
    context.lineTo(x + r / 2, y);
    if (label) {
      context.moveTo(x, y - r / 2);
      context.lineTo(x, y + r / 2);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  circle(x: number, y: number, radius: number, width = 1.5): void {
    const path = new Path2D();
    path.arc(x, y, radius, 0, 2 * Math.PI);
    this.twoTone(path, width);
  }

  tag(text: string, x: number, y: number, colour: string): void {
    const { context } = this;
    context.save();
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    const at = { x: x * this.view.scale + this.view.left, y: y * this.view.scale + this.view.top };
    context.font = "600 12px system-ui, sans-serif";
    const width = context.measureText(text).width + 12;
    const left = Math.min(this.stage.width - width - 4, Math.max(4, at.x));
    const top = Math.max(4, at.y - 24);
    context.fillStyle = "rgb(16 18 22 / 0.86)";
    context.beginPath();
    context.roundRect(left, top, width, 20, 5);
    context.fill();
    context.fillStyle = colour;
    context.fillRect(left, top + 4, 3, 12);
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(text, left + 8, top + 10.5);
    context.restore();
  }
}

export function ringPath(points: ArrayLike<number>, closed: boolean): Path2D {
  const path = new Path2D();
  for (let i = 0; i < points.length; i += 2) {
    if (i) path.lineTo(points[i]!, points[i + 1]!);
    else path.moveTo(points[i]!, points[i + 1]!);
  }
  if (closed) path.closePath();
  return path;
}
