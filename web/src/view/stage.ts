/** The stage: two canvases, the image below and the masks above, and the tool that the pointer holds. */

import { effect, signal } from "@preact/signals";
import type { App, ToolName } from "../state/app";
import { outlineOf } from "../state/outline";
import { settings } from "../state/settings";
import { readyPart } from "../state/timing";
import type { Pick, Workspace } from "../state/workspace";
import { BrushTool } from "../tools/brush";
import { ClickTool } from "../tools/click";
import { GazeTool } from "../tools/gaze";
import { PolygonTool } from "../tools/polygon";
import { SelectTool, selectAt } from "../tools/select";
import { type Point, type Stage as ToolStage, type Tool } from "../tools/tool";
import { Crosshair } from "./crosshair";
import { type GestureHandler, Gestures, type Touch } from "./gestures";
import { ImageLayer } from "./image-layer";
import { drawOverlay } from "./overlay";
import { Pen } from "./pen";
import { centred, fit, panBy, type Size, toImage, type Viewport, zoomAt } from "./viewport";

/** More device pixels than this cost time and are not seen. */
const MOST_RATIO = 2;

export class Stage implements ToolStage, GestureHandler {
  readonly viewport = signal<Viewport>({ scale: 1, left: 0, top: 0 });
  readonly crosshair = new Crosshair(this);
  readonly problem = signal("");
  readonly gestures: Gestures;
  private readonly canvases: [HTMLCanvasElement, HTMLCanvasElement];
  private size: Size = { width: 0, height: 0 };
  private layer: ImageLayer | null = null;
  private workspace: Workspace | null = null;
  private hoveredPick: Pick | null = null;
  private frame = 0;
  private isImageDirty = true;
  private readonly tools: Record<ToolName, Tool>;
  private readonly stops: (() => void)[] = [];

  constructor(
    private readonly host: HTMLElement,
    readonly app: App,
  ) {
    this.canvases = [document.createElement("canvas"), document.createElement("canvas")];
    host.prepend(...this.canvases);
    this.tools = {
      select: new SelectTool(this),
      click: new ClickTool(this),
      brush: new BrushTool(this, false),
      erase: new BrushTool(this, true),
      polygon: new PolygonTool(this),
      gaze: new GazeTool(this),
    };
    this.gestures = new Gestures(this, () => this.host.getBoundingClientRect());
    this.listen();
    this.watch();
  }

  get view(): Viewport {
    return this.viewport.peek();
  }

  get image(): Size | null {
    return this.workspace?.image ?? null;
  }

  private get tool(): Tool {
    return this.tools[this.app.tool.peek()];
  }

  close(): void {
    for (const stop of this.stops) stop();
    cancelAnimationFrame(this.frame);
    this.layer?.close();
  }

  private listen(): void {
    const { host, gestures } = this;
    const on = <K extends keyof HTMLElementEventMap>(kind: K, react: (event: HTMLElementEventMap[K]) => void): void => {
      host.addEventListener(kind, react, { passive: false });
      this.stops.push(() => host.removeEventListener(kind, react));
    };
    on("pointerdown", (event) => {
      host.setPointerCapture(event.pointerId);
      gestures.pointerDown(event);
    });
    on("pointermove", (event) => gestures.pointerMove(event));
    on("pointerup", (event) => gestures.pointerUp(event));
    on("pointercancel", (event) => gestures.pointerCancel(event));
    on("pointerleave", () => gestures.pointerLeave());
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => {
      event.preventDefault();
      gestures.wheel(event);
    });
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(host);
    this.stops.push(() => observer.disconnect());
  }

  private watch(): void {
    const { app } = this;
    let lastTool: ToolName = app.tool.peek();
    this.stops.push(
      effect(() => this.show(app.workspace.value)),
      effect(() => {
        const tool = app.tool.value;
        if (tool !== lastTool) this.tools[lastTool].stop?.();
        lastTool = tool;
        this.host.style.cursor = this.tools[tool].cursor;
        this.redraw();
      }),
      effect(() => {
        void this.viewport.value;
        this.isImageDirty = true;
        this.redraw();
      }),
      effect(() => {
        this.readAll(app.workspace.value);
        this.redraw();
      }),
    );
  }

  /** Everything that drawing the overlay depends on, read so that its changes are told. */
  private readAll(workspace: Workspace | null): void {
    const { app } = this;
    void [app.overlay.value, app.drawing.preview.value, app.labels.all.value, settings.value, this.crosshair.at.value];
    if (!workspace) return;
    void [workspace.objects.value, workspace.selected.value, workspace.hidden.value, workspace.picks.value];
    const draft = workspace.draft.value;
    if (draft) void [draft.step.value, draft.asked.value, draft.label.value];
  }

  private show(workspace: Workspace | null): void {
    if (workspace === this.workspace) return;
    const isSame = workspace?.image.id === this.workspace?.image.id;
    this.workspace = workspace;
    this.hoveredPick = null;
    if (isSame) return;
    this.tool.stop?.();
    this.layer?.close();
    this.layer = null;
    this.crosshair.hide();
    this.problem.value = "";
    if (!workspace) return this.changeImage();
    const { image } = workspace;
    this.layer = new ImageLayer(this.app.backend.picture(image), image, () => {
      this.problem.value = this.layer?.problem ?? "";
      this.changeImage();
    });
    this.fitImage();
  }

  private changeImage(): void {
    this.isImageDirty = true;
    this.redraw();
  }

  private resize(): void {
    const before = this.size;
    this.size = { width: this.host.clientWidth, height: this.host.clientHeight };
    const ratio = this.ratio;
    for (const canvas of this.canvases) {
      canvas.width = Math.max(1, Math.round(this.size.width * ratio));
      canvas.height = Math.max(1, Math.round(this.size.height * ratio));
    }
    this.isImageDirty = true;
    if (!this.image) return this.redraw();
    const wasFit = before.width === 0 || isSameView(this.view, fit(this.image, before));
    if (wasFit) this.fitImage();
    else this.viewport.value = panBy(this.view, this.image, this.size, 0, 0);
    // A canvas that was resized is empty; drawing it in the same frame avoids a flash.
    this.draw();
  }

  private get ratio(): number {
    return Math.min(MOST_RATIO, window.devicePixelRatio || 1);
  }

  redraw(): void {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const [below, above] = this.canvases.map((canvas) => canvas.getContext("2d")!) as [
      CanvasRenderingContext2D,
      CanvasRenderingContext2D,
    ];
    if (this.isImageDirty) {
      this.isImageDirty = false;
      if (this.layer) {
        this.layer.draw(below, this.view, this.size, this.ratio);
        if (this.layer.isShown && this.workspace) readyPart(this.workspace.image.id, "drawn");
      } else {
        below.clearRect(0, 0, below.canvas.width, below.canvas.height);
      }
    }
    const pen = new Pen(above, this.view, this.size, this.ratio);
    if (!this.workspace) return;
    drawOverlay(pen, this.app, this.workspace, this.hoveredPick);
    if (!this.workspace.readOnly.peek()) this.tool.draw?.(pen);
    this.crosshair.draw(pen);
  }

  // the view

  fitImage(): void {
    if (this.image && this.size.width) this.viewport.value = fit(this.image, this.size);
  }

  /** One image pixel on one CSS pixel, about the middle. */
  actualSize(): void {
    if (this.image) this.zoomBy(1 / this.view.scale);
  }

  zoomBy(factor: number): void {
    this.zoom(factor, this.size.width / 2, this.size.height / 2);
  }

  zoom(factor: number, x: number, y: number): void {
    if (this.image) this.viewport.value = zoomAt(this.view, this.image, this.size, factor, x, y);
  }

  /** Bring the selected object to the middle, large. */
  zoomToSelected(): void {
    const workspace = this.workspace;
    const outline = workspace?.draft.peek()?.outline ?? null;
    const object = workspace?.selectedObject.peek();
    const box = (outline ?? (object ? outlineOf(object.segmentation) : null))?.bounds;
    if (!box || !this.image) return this.fitImage();
    const part = { width: box.x1 - box.x0, height: box.y1 - box.y0 };
    const scale = Math.min(16, 0.6 * Math.min(this.size.width / part.width, this.size.height / part.height));
    const view = centred(part, this.size, scale);
    this.viewport.value = { scale, left: view.left - box.x0 * scale, top: view.top - box.y0 * scale };
  }

  panBy(dx: number, dy: number): void {
    if (this.image) this.viewport.value = panBy(this.view, this.image, this.size, dx, dy);
  }

  // gestures

  pan(dx: number, dy: number): void {
    this.panBy(dx, dy);
  }

  turn(by: 1 | -1): void {
    this.app.drawing.alternative(by);
  }

  press(at: Touch): void {
    this.crosshair.hide();
    if (!this.workspace) return;
    const point = this.pointAt(at);
    if (this.isPicking || at.ctrl) return;
    if (!this.mayDraw) return void this.tools.select.press?.(point);
    this.tool.press?.(point);
  }

  drag(at: Touch): void {
    if (this.isPicking || at.ctrl) return;
    if (!this.mayDraw) return void this.tools.select.drag?.(this.pointAt(at));
    this.tool.drag?.(this.pointAt(at));
  }

  release(at: Touch): void {
    const point = this.pointAt(at);
    if (this.isPicking) {
      const pick = this.pickAt(point);
      if (pick) this.app.take([pick]);
      this.hoveredPick = null;
    } else if (at.ctrl) {
      this.tool.cancel?.();
      selectAt(this, point);
    } else if (!this.mayDraw) {
      this.tools.select.release?.(point);
    } else {
      this.tool.release?.(point);
    }
  }

  cancel(): void {
    this.tool.cancel?.();
  }

  longPress(at: Touch): void {
    if (this.mayDraw && !this.isPicking) this.tool.longPress?.(this.pointAt(at));
  }

  hover(at: Touch): void {
    const point = this.pointAt(at);
    if (this.isPicking) {
      const pick = this.pickAt(point);
      if (pick !== this.hoveredPick) {
        this.hoveredPick = pick;
        this.redraw();
      }
    } else if (this.mayDraw) {
      this.tool.hover?.(point);
    }
  }

  leave(): void {
    this.hoveredPick = null;
    this.tool.leave?.();
    this.redraw();
  }

  /** Masks to pick from are on show, and the tool is one that points. */
  private get isPicking(): boolean {
    const tool = this.app.tool.peek();
    const points = tool === "click" || tool === "select" || tool === "gaze";
    return points && this.mayDraw && (this.workspace?.picks.peek().length ?? 0) > 0;
  }

  private get mayDraw(): boolean {
    return this.workspace !== null && !this.workspace.readOnly.peek();
  }

  /** The smallest mask to pick at a point. */
  private pickAt(at: Point): Pick | null {
    const there = this.workspace!.picks.peek().filter((pick) => pick.outline.contains(at.ix, at.iy));
    return there.sort((a, b) => a.outline.area - b.outline.area)[0] ?? null;
  }

  private pointAt(at: Touch): Point {
    const { x, y } = toImage(this.view, at.x, at.y);
    return { ...at, ix: x, iy: y };
  }

  // the keyboard as a pointer

  /** Enter, Escape and the like go to the tool first. */
  toolKey(key: string): boolean {
    return this.mayDraw && (this.tool.key?.(key) ?? false);
  }

  moveCrosshair(dx: number, dy: number): void {
    this.crosshair.move(dx, dy, this.size);
  }

  /** What a click with the current tool would do, at the crosshair. */
  clickCrosshair(label: 0 | 1): void {
    const touch = this.crosshair.touch(label);
    if (!touch || !this.mayDraw) return;
    if (this.isPicking) return this.release(touch);
    this.tool.press?.(this.pointAt(touch));
    this.tool.release?.(this.pointAt(touch));
  }

  boxCrosshair(): void {
    const box = this.mayDraw ? this.crosshair.box() : null;
    if (box) this.app.drawing.setBox(box);
  }
}

function isSameView(a: Viewport, b: Viewport): boolean {
  return Math.abs(a.scale - b.scale) < 1e-9 && Math.abs(a.left - b.left) < 0.5 && Math.abs(a.top - b.top) < 0.5;
}
