/** What a tool is: what it does with presses on the image, and what it draws over it. */

import type { App } from "../state/app";
import type { Touch } from "../view/gestures";
import type { Pen } from "../view/pen";
import type { Size, Viewport } from "../view/viewport";

/** A touch with the place of the image that it is on. */
export interface Point extends Touch {
  ix: number;
  iy: number;
}

/** What tools see of the stage. */
export interface Stage {
  readonly app: App;
  readonly view: Viewport;
  readonly image: Size | null;
  redraw(): void;
  panBy(dx: number, dy: number): void;
}

export interface Tool {
  readonly cursor: string;
  press?(at: Point): void;
  drag?(at: Point): void;
  release?(at: Point): void;
  cancel?(): void;
  longPress?(at: Point): void;
  hover?(at: Point): void;
  leave?(): void;
  /** Enter, Escape, Delete and Backspace come here first; true where the tool took them. */
  key?(key: string): boolean;
  draw?(pen: Pen): void;
  /** another tool is chosen */
  stop?(): void;
}

/** how far a press may wander and still be a click, in CSS pixels */
export function slack(at: Touch): number {
  return at.type === "touch" ? 12 : 4;
}

export function inside(image: Size, at: { ix: number; iy: number }): boolean {
  return at.ix >= 0 && at.iy >= 0 && at.ix <= image.width && at.iy <= image.height;
}

/** Coordinates go into the record of the change; hundredths of a pixel are enough of it. */
export function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
