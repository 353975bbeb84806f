/** What lies over the image: the objects, those to pick from, the one in the making, and what a click would give. */

import type { App } from "../state/app";
import type { Draft } from "../state/draft";
import { outlineOf } from "../state/outline";
import { settings } from "../state/settings";
import { drewAnswer } from "../state/timing";
import type { Pick, Workspace } from "../state/workspace";
import type { Pen } from "./pen";

const PICK = "#7cc4ff";

export function drawOverlay(pen: Pen, app: App, workspace: Workspace, hoveredPick: Pick | null): void {
  if (app.overlay.value) {
    drawObjects(pen, app, workspace);
    drawPicks(pen, workspace, hoveredPick);
  }
  const draft = workspace.draft.value;
  if (draft) drawDraft(pen, app, workspace, draft);
  const preview = app.drawing.preview.value;
  if (preview && !draft) {
    pen.picture(preview.picture, workspace.image, 0.38);
    pen.tag(preview.score.toFixed(2), preview.x, preview.y, app.labels.colourOf(app.labels.current.value));
  }
}

function drawObjects(pen: Pen, app: App, workspace: Workspace): void {
  // Masks to pick from come to the fore.
  const fill = settings.value.fill * (workspace.picks.value.length ? 0.4 : 1);
  const hidden = workspace.hidden.value;
  const selected = workspace.selected.value;
  const inMaking = workspace.draft.value?.base?.id;
  for (const object of workspace.objects.value) {
    if (object.id === inMaking || hidden.has(object.id)) continue;
    const outline = outlineOf(object.segmentation);
    const isSelected = object.id === selected;
    pen.mask(outline, app.labels.colourOf(object.label), isSelected ? Math.min(0.8, fill + 0.15) : fill, 1.5);
    if (isSelected && pen.isVisible(outline)) pen.twoTone(outline.path(pen.view.scale * pen.ratio), 1.75);
  }
}

function drawPicks(pen: Pen, workspace: Workspace, hovered: Pick | null): void {
  for (const pick of workspace.picks.value) if (pick !== hovered) pen.mask(pick.outline, PICK, 0.16, 1.25);
  if (!hovered) return;
  pen.mask(hovered.outline, PICK, 0.5, 2.5);
  const box = hovered.outline.bounds;
  if (box) pen.tag(hovered.score.toFixed(2), box.x0, box.y0, PICK);
}

function drawDraft(pen: Pen, app: App, workspace: Workspace, draft: Draft): void {
  const colour = app.labels.colourOf(draft.label.value);
  const step = draft.step.value;
  const choice = draft.choice.value;
  const outline = choice ? (choice.mask?.outline ?? null) : draft.initial;
  if (outline) {
    pen.mask(outline, colour, 0.45, 0);
    if (pen.isVisible(outline)) pen.twoTone(outline.path(pen.view.scale * pen.ratio), 1.25);
  } else if (choice?.picture) {
    pen.picture(choice.picture, workspace.image, 0.45);
  }
  if (step?.answer && (outline ?? choice?.picture)) drewAnswer(step.answer);
  if (step?.box) {
    const [x0, y0, x1, y1] = step.box;
    const path = new Path2D();
    path.rect(x0, y0, x1 - x0, y1 - y0);
    pen.twoTone(path, 1, [5, 4]);
  }
  for (const point of step?.points ?? []) pen.click(point.x, point.y, point.label, false);
  for (const point of draft.asked.value) pen.click(point.x, point.y, point.label, true);
}
