/** Pointer events of mouse, pen and fingers to presses, drags, pans and pinches. */

export interface Touch {
  /** CSS pixels of the stage */
  x: number;
  y: number;
  button: number;
  shift: boolean;
  alt: boolean;
  ctrl: boolean;
  /** "mouse", "pen" or "touch" */
  type: string;
  time: number;
}

export interface GestureHandler {
  press(at: Touch): void;
  drag(at: Touch): void;
  release(at: Touch): void;
  /** a press turned out to be something else */
  cancel(): void;
  longPress(at: Touch): void;
  hover(at: Touch): void;
  leave(): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number, x: number, y: number): void;
  /** the wheel with the modifier for alternatives */
  turn(by: 1 | -1): void;
}

/** The part of a PointerEvent that is used. */
export interface PointerLike {
  pointerId: number;
  pointerType: string;
  button: number;
  clientX: number;
  clientY: number;
  shiftKey: boolean;
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  timeStamp: number;
}

const LONG_PRESS_MS = 500;
const STILL_PX = 10;
const TURN_PX = 40;

export class Gestures {
  /** held by the space bar */
  isPanKeyDown = false;
  /** the pointer has panned since the space bar went down */
  hasPanned = false;
  private readonly down = new Map<number, { x: number; y: number }>();
  private mode: "none" | "press" | "pan" | "pinch" | "done" = "none";
  private start: { x: number; y: number } = { x: 0, y: 0 };
  private button = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private turned = 0;

  constructor(
    private readonly handler: GestureHandler,
    private readonly origin: () => { left: number; top: number },
  ) {}

  pointerDown(event: PointerLike): void {
    const at = this.touch(event);
    this.down.set(event.pointerId, { x: at.x, y: at.y });
    if (this.down.size === 2 && event.pointerType === "touch") return this.beginPinch();
    if (this.down.size > 1) return;
    this.start = { x: at.x, y: at.y };
    this.button = event.button;
    if (event.button === 1 || (this.isPanKeyDown && event.button === 0)) {
      this.mode = "pan";
      this.hasPanned = this.isPanKeyDown;
      return;
    }
    this.mode = "press";
    if (event.pointerType === "touch") this.timer = setTimeout(() => this.longPress(at), LONG_PRESS_MS);
    this.handler.press(at);
  }

  pointerMove(event: PointerLike): void {
    const at = this.touch(event);
    const last = this.down.get(event.pointerId);
    if (!last) {
      if (event.pointerType !== "touch" && this.mode === "none") this.handler.hover(at);
      return;
    }
    if (this.mode === "pinch") this.pinch(event.pointerId, at);
    this.down.set(event.pointerId, { x: at.x, y: at.y });
    if (this.mode === "pan") this.handler.pan(at.x - last.x, at.y - last.y);
    if (this.mode !== "press") return;
    if (Math.hypot(at.x - this.start.x, at.y - this.start.y) > STILL_PX) clearTimeout(this.timer);
    this.handler.drag(at);
  }

  pointerUp(event: PointerLike): void {
    if (!this.down.delete(event.pointerId)) return;
    clearTimeout(this.timer);
    if (this.mode === "press") this.handler.release(this.touch(event));
    // The second finger of a pinch that stays down must not begin to draw.
    this.mode = this.down.size ? "done" : "none";
  }

  pointerCancel(event: PointerLike): void {
    if (!this.down.delete(event.pointerId)) return;
    clearTimeout(this.timer);
    if (this.mode === "press") this.handler.cancel();
    this.mode = this.down.size ? "done" : "none";
  }

  pointerLeave(): void {
    if (this.mode === "none") this.handler.leave();
  }

  /** A wheel or a trackpad: with Alt to the next alternative, sideways with Shift, else zoom about the pointer. */
  wheel(event: Pick<WheelEvent, "deltaX" | "deltaY" | "deltaMode" | "altKey" | "shiftKey" | "clientX" | "clientY">): void {
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const dx = event.deltaX * unit;
    const dy = event.deltaY * unit;
    if (event.altKey) {
      this.turned += dy || dx;
      if (Math.abs(this.turned) < TURN_PX) return;
      this.handler.turn(this.turned > 0 ? 1 : -1);
      this.turned = 0;
      return;
    }
    if (event.shiftKey) return this.handler.pan(-(dx || dy), 0);
    const { left, top } = this.origin();
    this.handler.zoom(Math.exp(-Math.max(-240, Math.min(240, dy)) / 300), event.clientX - left, event.clientY - top);
  }

  private beginPinch(): void {
    clearTimeout(this.timer);
    if (this.mode === "press") this.handler.cancel();
    this.mode = "pinch";
  }

  private pinch(id: number, at: { x: number; y: number }): void {
    const other = [...this.down].find(([key]) => key !== id)?.[1];
    const last = this.down.get(id)!;
    if (!other) return;
    const before = Math.hypot(last.x - other.x, last.y - other.y);
    const now = Math.hypot(at.x - other.x, at.y - other.y);
    this.handler.pan((at.x - last.x) / 2, (at.y - last.y) / 2);
    if (before > 0 && now > 0) this.handler.zoom(now / before, (at.x + other.x) / 2, (at.y + other.y) / 2);
  }

  private longPress(at: Touch): void {
    if (this.mode !== "press") return;
    this.mode = "done";
    this.handler.longPress(at);
  }

  private touch(event: PointerLike): Touch {
    const { left, top } = this.origin();
    return {
      x: event.clientX - left,
      y: event.clientY - top,
      button: this.mode === "none" ? event.button : this.button,
      shift: event.shiftKey,
      alt: event.altKey,
      ctrl: event.ctrlKey || event.metaKey,
      type: event.pointerType,
      time: event.timeStamp,
    };
  }
}
