/** The select tool: a click selects an object, a second one opens it again, a drag moves the image. */

import { type Point, slack, type Stage, type Tool } from "./tool";

const DOUBLE_MS = 400;

export class SelectTool implements Tool {
  readonly cursor = "default";
  private from: Point | null = null;
  private last: Point | null = null;
  private moved = false;
  private lastClick: { id: string; time: number } | null = null;

  constructor(private readonly stage: Stage) {}

  press(at: Point): void {
    this.from = this.last = at;
    this.moved = false;
  }

  drag(at: Point): void {
    const { from, last } = this;
    if (!from || !last) return;
    if (Math.hypot(at.x - from.x, at.y - from.y) > slack(at)) this.moved = true;
    if (this.moved) this.stage.panBy(at.x - last.x, at.y - last.y);
    this.last = at;
  }

  release(at: Point): void {
    const { from, moved } = this;
    this.cancel();
    if (!from || moved) return;
    selectAt(this.stage, at);
    const selected = this.stage.app.workspace.peek()?.selectedObject.peek();
    if (selected && this.lastClick?.id === selected.id && at.time - this.lastClick.time < DOUBLE_MS) {
      this.stage.app.tool.value = "click";
      this.stage.app.drawing.refine(selected);
    }
    this.lastClick = selected ? { id: selected.id, time: at.time } : null;
  }

  cancel(): void {
    this.from = this.last = null;
  }
}

/** Select what lies at a point; the object in the making is finished. */
export function selectAt(stage: Stage, at: Point): void {
  const workspace = stage.app.workspace.peek();
  if (!workspace) return;
  void stage.app.drawing.finish();
  workspace.selected.value = workspace.objectAt(at.ix, at.iy)?.id ?? null;
}
