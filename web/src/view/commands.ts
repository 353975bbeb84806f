/** What the commands of the key table do. */

import type { App } from "../state/app";
import type { CommandId } from "../state/keymap";
import { change, settings } from "../state/settings";
import { minusMode } from "../tools/click";
import { cutsHole } from "../tools/polygon";
import type { Stage } from "./stage";

const STEP_PX = 4;
const FAR_PX = 40;

export type Run = (id: CommandId, isFar?: boolean) => void;

export function commandRunner(app: App, stage: () => Stage | null): Run {
  const actions: Record<CommandId, (isFar: boolean) => void> = {
    "tool-select": () => void (app.tool.value = "select"),
    "tool-click": () => void (app.tool.value = "click"),
    "tool-brush": () => void (app.tool.value = "brush"),
    "tool-erase": () => void (app.tool.value = "erase"),
    "tool-polygon": () => void (app.tool.value = "polygon"),
    "tool-gaze": () => void (app.tool.value = "gaze"),
    "brush-smaller": () => change({ brush: Math.max(1, Math.round(settings.peek().brush / 1.25)) }),
    "brush-larger": () => change({ brush: Math.min(300, Math.ceil(settings.peek().brush * 1.25)) }),
    hole: () => void (cutsHole.value = !cutsHole.peek()),
    minus: () => void (minusMode.value = !minusMode.peek()),
    finish: () => finish(app, stage()),
    cancel: () => cancel(app, stage()),
    delete: () => remove(app, stage()),
    undo: () => app.workspace.peek()?.undo(),
    redo: () => app.workspace.peek()?.redo(),
    alternative: () => app.drawing.alternative(1),
    "alternative-back": () => app.drawing.alternative(-1),
    refine: () => refine(app),
    tidy: () => app.drawing.tidy(),
    "next-object": () => selectNext(app, 1),
    "previous-object": () => selectNext(app, -1),
    "object-up": () => moveSelected(app, -1),
    "object-down": () => moveSelected(app, 1),
    hide: () => {
      const workspace = app.workspace.peek();
      const id = workspace?.selected.peek();
      if (workspace && id) workspace.toggleHidden(id);
    },
    "hide-all": () => void (app.overlay.value = !app.overlay.peek()),
    "label-new": () => focus("new-label"),
    "label-none": () => app.useLabel(null),
    "next-image": () => void app.step(1),
    "previous-image": () => void app.step(-1),
    done: () => void app.mark("done", true),
    skip: () => void app.mark("skipped", true),
    reopen: () => void app.mark("started", false),
    copy: () => void app.copyFromPrevious(),
    search: () => {
      change({ gallery: true });
      focus("image-search");
    },
    text: () => focus("text-prompt"),
    everything: () => {
      if (app.session.peek()?.capabilities.everything) void app.findEverything();
    },
    "take-all": () => app.take(app.workspace.peek()?.picks.peek() ?? []),
    "zoom-in": () => stage()?.zoomBy(1.3),
    "zoom-out": () => stage()?.zoomBy(1 / 1.3),
    fit: () => stage()?.fitImage(),
    actual: () => stage()?.actualSize(),
    "zoom-object": () => stage()?.zoomToSelected(),
    gallery: () => change({ gallery: !settings.peek().gallery }),
    panels: () => change({ panels: !settings.peek().panels }),
    theme: () => app.toggleTheme(),
    export: () => void (app.dialog.value = "export"),
    import: () => {
      if (app.session.peek()?.capabilities.import.length) app.dialog.value = "import";
    },
    settings: () => void (app.dialog.value = "settings"),
    help: () => void (app.dialog.value = "help"),
    "cursor-left": (isFar) => stage()?.moveCrosshair(isFar ? -FAR_PX : -STEP_PX, 0),
    "cursor-right": (isFar) => stage()?.moveCrosshair(isFar ? FAR_PX : STEP_PX, 0),
    "cursor-up": (isFar) => stage()?.moveCrosshair(0, isFar ? -FAR_PX : -STEP_PX),
    "cursor-down": (isFar) => stage()?.moveCrosshair(0, isFar ? FAR_PX : STEP_PX),
    "cursor-plus": () => stage()?.clickCrosshair(1),
    "cursor-minus": () => stage()?.clickCrosshair(0),
    "cursor-box": () => stage()?.boxCrosshair(),
  };
  return (id, isFar = false) => actions[id](isFar);
}

function finish(app: App, stage: Stage | null): void {
  if (stage?.toolKey("Enter")) return;
  if (app.workspace.peek()?.draft.peek()) void app.drawing.finish();
  else refine(app);
}

function cancel(app: App, stage: Stage | null): void {
  const workspace = app.workspace.peek();
  if (stage?.toolKey("Escape") || !workspace) return;
  if (workspace.draft.peek()) app.drawing.discard();
  else if (workspace.picks.peek().length) workspace.picks.value = [];
  else workspace.selected.value = null;
}

function remove(app: App, stage: Stage | null): void {
  const workspace = app.workspace.peek();
  if (stage?.toolKey("Delete") || !workspace) return;
  const draft = workspace.draft.peek();
  if (draft) app.drawing.discard();
  const id = draft ? draft.base?.id : workspace.selected.peek();
  if (!id) return;
  workspace.remove([id]);
  app.say("Deleted. Ctrl+Z brings it back.");
}

function refine(app: App): void {
  const selected = app.workspace.peek()?.selectedObject.peek();
  if (!selected) return;
  if (app.tool.peek() === "select") app.tool.value = "click";
  app.drawing.refine(selected);
  app.say("Click to improve the object, Enter to finish it.");
}

function selectNext(app: App, by: 1 | -1): void {
  const workspace = app.workspace.peek();
  const objects = workspace?.objects.peek() ?? [];
  if (!workspace || !objects.length) return;
  void app.drawing.finish();
  const at = objects.findIndex((object) => object.id === workspace.selected.peek());
  const next = at < 0 ? (by > 0 ? 0 : objects.length - 1) : (at + by + objects.length) % objects.length;
  workspace.selected.value = objects[next]!.id;
  app.say(`Object ${next + 1} of ${objects.length}: ${app.labels.nameOf(objects[next]!.label)}`);
}

function moveSelected(app: App, by: 1 | -1): void {
  const workspace = app.workspace.peek();
  const id = workspace?.selected.peek();
  if (workspace && id) workspace.move(id, by);
}

function focus(id: string): void {
  // What is focused may only be drawn after the state has changed.
  requestAnimationFrame(() => {
    const field = document.getElementById(id);
    if (field instanceof HTMLInputElement) {
      field.focus();
      field.select();
    }
  });
}
