/** The keyboard as a pointer: a crosshair that arrow keys move, and that clicks and draws boxes. */

import { signal } from "@preact/signals";
import { hundredths, inside, type Stage } from "../tools/tool";
import type { Box } from "../decoder/prompt";
import type { Touch } from "./gestures";
import type { Pen } from "./pen";
import { type Place, type Size, toImage, toScreen } from "./viewport";

export class Crosshair {
  /** in image pixels; null while the pointer is used */
  readonly at = signal<Place | null>(null);
  private corner: Place | null = null;

  constructor(private readonly stage: Stage) {}

  hide(): void {
    this.at.value = this.corner = null;
  }

  /** By CSS pixels, from the middle of the stage at first; the image moves where it would leave the stage. */
  move(dx: number, dy: number, size: Size): void {
    const { image, view } = this.stage;
    if (!image) return;
    const from = this.at.peek() ?? toImage(view, size.width / 2, size.height / 2);
    const x = Math.min(image.width, Math.max(0, from.x + dx / view.scale));
    const y = Math.min(image.height, Math.max(0, from.y + dy / view.scale));
    this.at.value = { x, y };
    const seen = toScreen(view, x, y);
    if (seen.x < 0 || seen.y < 0 || seen.x > size.width || seen.y > size.height) this.stage.panBy(-dx, -dy);
  }

  /** A touch at the crosshair, as a pointer would make it. */
  touch(label: 0 | 1): Touch | null {
    const at = this.at.peek();
    if (!at) return null;
    const seen = toScreen(this.stage.view, at.x, at.y);
    return { ...seen, button: label ? 0 : 2, shift: false, alt: false, ctrl: false, type: "keyboard", time: performance.now() };
  }

  /** The first call sets a corner, the second gives the box. */
  box(): Box | null {
    const { image } = this.stage;
    const at = this.at.peek();
    if (!at || !image || !inside(image, { ix: at.x, iy: at.y })) return null;
    const corner = this.corner;
    this.corner = corner ? null : at;
    this.stage.redraw();
    if (!corner || Math.abs(at.x - corner.x) < 1 || Math.abs(at.y - corner.y) < 1) return null;
    return [
      hundredths(Math.min(corner.x, at.x)),
      hundredths(Math.min(corner.y, at.y)),
      hundredths(Math.max(corner.x, at.x)),
      hundredths(Math.max(corner.y, at.y)),
    ];
  }

  draw(pen: Pen): void {
    const at = this.at.peek();
    if (!at) return;
    const far = pen.px(14);
    const cross = new Path2D();
    cross.moveTo(at.x - far, at.y);
    cross.lineTo(at.x + far, at.y);
    cross.moveTo(at.x, at.y - far);
    cross.lineTo(at.x, at.y + far);
    pen.twoTone(cross, 1.5);
    if (!this.corner) return;
    const box = new Path2D();
    box.rect(this.corner.x, this.corner.y, at.x - this.corner.x, at.y - this.corner.y);
    pen.twoTone(box, 1.5, [6, 4]);
  }
}
