/** From what a person points at to the object in the making. */

import { signal } from "@preact/signals";
import type { ImageRecord, MaskObject, PromptRecord, Source } from "../api/types";
import { isAbort } from "../api/http";
import type { Box, ObjectPrompt, PromptPoint } from "../decoder/prompt";
import { maskToLogits } from "../decoder/saturated";
import { subtract, union } from "../mask/combine";
import { isEmpty, type Runs } from "../mask/runs";
import { tidy } from "../mask/regions";
import type { Answer, Decoding, Mask } from "./decoding";
import { type Choice, Draft, nextPrompt, type Step } from "./draft";
import { Outline, outlineOf } from "./outline";
import { answered, type ClickTimes } from "./timing";
import type { Workspace } from "./workspace";

export interface DrawingHost {
  workspace(): Workspace | null;
  label(): string | null;
  colourOf(label: string | null): string;
  maskSize(): number;
  say(message: string): void;
}

/** What would be the mask if the person clicked where the pointer is. */
export interface Preview {
  x: number;
  y: number;
  picture: ImageBitmap;
  score: number;
}

export class Drawing {
  readonly preview = signal<Preview | null>(null);
  private previewing = 0;

  constructor(
    private readonly decoding: Decoding,
    private readonly host: DrawingHost,
  ) {}

  addPoint(point: PromptPoint, times: ClickTimes | null = null): void {
    this.prompt({ point }, times);
  }

  setBox(box: Box, times: ClickTimes | null = null): void {
    this.prompt({ box }, times);
  }

  private prompt(more: { point?: PromptPoint; box?: Box }, times: ClickTimes | null): void {
    const workspace = this.host.workspace();
    if (!workspace || workspace.readOnly.value) return;
    const draft = this.draftIn(workspace);
    this.preview.value = null;
    if (more.point) draft.asked.value = [...draft.asked.value, more.point];
    draft.busy = draft.busy.then(async () => {
      try {
        await this.answerInto(draft, workspace.image, more, times);
      } catch (error) {
        if (!isAbort(error)) this.host.say(error instanceof Error ? error.message : String(error));
        if (!draft.steps.value.length && !draft.base && workspace.draft.value === draft) workspace.draft.value = null;
      } finally {
        draft.asked.value = draft.asked.value.filter((point) => point !== more.point);
      }
    });
  }

  private async answerInto(
    draft: Draft,
    image: ImageRecord,
    more: { point?: PromptPoint; box?: Box },
    times: ClickTimes | null,
  ): Promise<void> {
    const last = draft.step.value;
    const prompt = nextPrompt(last, more, await this.logitsOf(draft));
    const answer = await this.decoding.answer(image, prompt, this.host.colourOf(draft.label.value));
    const record: PromptRecord = more.box
      ? { kind: "box", box: more.box }
      : { kind: "point", x: more.point!.x, y: more.point!.y, label: more.point!.label };
    const step: Step = {
      points: prompt.points,
      box: prompt.box,
      choices: answer.scores.map((score, i) => ({ score, picture: i === answer.best ? answer.picture : null, mask: null })),
      chosen: answer.best,
      source: "model",
      record: [...(last?.record ?? (draft.base ? [{ kind: "mask" as const }] : [])), record],
      answer,
    };
    draft.push(step);
    answered(answer, times);
    draft.fill(step, answer.best, await answer.complete(answer.best));
    void this.completeOthers(draft, step, answer);
  }

  /** So that the other masks are there at once when the person turns to them. */
  private async completeOthers(draft: Draft, step: Step, answer: Answer): Promise<void> {
    for (let i = 0; i < answer.scores.length; i++) {
      if (i === answer.best) continue;
      try {
        draft.fill(step, i, await answer.complete(i));
      } catch {
        return; // it is no longer kept, and another answer is shown by now
      }
    }
  }

  /** What the next click sees of the object so far. */
  private async logitsOf(draft: Draft): Promise<Float32Array | null> {
    const step = draft.step.value;
    if (step) {
      const mask = step.choices[step.chosen]?.mask ?? (await step.answer?.complete(step.chosen)) ?? null;
      return mask && (mask.logits ?? maskToLogits(mask.outline.runs, this.host.maskSize()));
    }
    return draft.initial && maskToLogits(draft.initial.runs, this.host.maskSize());
  }

  /** Ask what lies under the pointer; only the latest answer is shown. */
  async hover(x: number, y: number): Promise<void> {
    const workspace = this.host.workspace();
    if (!workspace || workspace.draft.value || workspace.readOnly.value) return;
    const asked = ++this.previewing;
    const prompt: ObjectPrompt = { points: [{ x, y, label: 1 }], box: null, logits: null };
    const answer = await this.decoding.answerPreview(workspace.image, prompt, this.host.colourOf(this.host.label()));
    if (asked !== this.previewing || !answer?.picture || workspace.draft.value) return;
    this.preview.value = { x, y, picture: answer.picture, score: answer.scores[answer.best]! };
  }

  stopHover(): void {
    this.previewing++;
    this.decoding.cancelPreview();
    this.preview.value = null;
  }

  /** Begin the answer to a click while the button is still down. */
  press(point: PromptPoint): void {
    const workspace = this.host.workspace();
    if (!workspace || workspace.readOnly.value) return;
    const draft = workspace.draft.value;
    const logits = draft?.choice.value?.mask?.logits ?? null;
    // What is made by hand, or not answered yet, has none; the click will wait for them.
    if (draft && (!logits || draft.asked.value.length)) return;
    const prompt = nextPrompt(draft?.step.value ?? null, { point }, logits);
    const label = draft ? draft.label.value : this.host.label();
    void this.decoding.answerPreview(workspace.image, prompt, this.host.colourOf(label));
  }

  /** Turn to the next of the masks that the last click offers. */
  alternative(by: number): void {
    const draft = this.host.workspace()?.draft.value;
    const step = draft?.step.value;
    if (!draft || !step || step.choices.length < 2) return;
    const order = byScore(step.choices);
    const next = order[(order.indexOf(step.chosen) + by + order.length) % order.length]!;
    this.choose(next);
  }

  choose(index: number): void {
    const draft = this.host.workspace()?.draft.value;
    const step = draft?.step.value;
    const choice = step?.choices[index];
    if (!draft || !step || !choice) return;
    draft.choose(index);
    const score = choice.score === null ? "" : `, score ${choice.score.toFixed(2)}`;
    this.host.say(`Mask ${byScore(step.choices).indexOf(index) + 1} of ${step.choices.length}${score}`);
    if (!choice.mask && step.answer) {
      const filling = step.answer.complete(index).then((mask: Mask) => draft.fill(step, index, mask));
      draft.busy = Promise.all([draft.busy, filling]).catch(() => undefined);
    }
  }

  /** Add pixels to the object in the making, or to the selected one, or take them away. */
  paint(pixels: Runs, erase: boolean, source: Source, record: PromptRecord): void {
    const workspace = this.host.workspace();
    if (!workspace || workspace.readOnly.value) return;
    const selected = workspace.selectedObject.value;
    if (!workspace.draft.value && selected) this.refine(selected);
    if (!workspace.draft.value && erase) return this.host.say("Select an object to erase from.");
    const draft = this.draftIn(workspace);
    draft.busy = draft.busy.then(() => {
      const now = draft.outline?.runs;
      const runs = now ? (erase ? subtract(now, pixels) : union(now, pixels)) : pixels;
      draft.pushMask(new Outline(runs), source, [record]);
    });
  }

  /** Set the whole mask of the object in the making. */
  replace(runs: Runs, source: Source, record: PromptRecord): void {
    const workspace = this.host.workspace();
    if (!workspace || workspace.readOnly.value) return;
    const draft = this.draftIn(workspace);
    draft.busy = draft.busy.then(() => draft.pushMask(new Outline(runs), source, [record]));
  }

  /** Drop specks and fill pinholes. */
  tidy(): void {
    const workspace = this.host.workspace();
    if (!workspace || workspace.readOnly.value) return;
    const selected = workspace.selectedObject.value;
    if (!workspace.draft.value && selected) this.refine(selected);
    const draft = workspace.draft.value;
    if (!draft) return this.host.say("Select an object to tidy.");
    draft.busy = draft.busy.then(() => {
      const runs = draft.outline?.runs;
      if (runs) draft.pushMask(new Outline(tidy(runs)), draft.step.value?.source ?? draft.base?.source ?? "model", [{ kind: "mask" }]);
    });
  }

  /** Open a finished object again. */
  refine(object: MaskObject): Draft | null {
    const workspace = this.host.workspace();
    if (!workspace || workspace.readOnly.value) return null;
    const draft = new Draft(object, outlineOf(object.segmentation), object.label);
    workspace.draft.value = draft;
    workspace.selected.value = object.id;
    return draft;
  }

  /** Save the object in the making; with `label`, as one of that kind. */
  async finish(label?: string | null): Promise<void> {
    const workspace = this.host.workspace();
    const draft = workspace?.draft.value;
    if (!workspace || !draft) return;
    if (label !== undefined) draft.label.value = label;
    await draft.busy;
    if (workspace.draft.value !== draft) return;
    workspace.draft.value = null;
    this.stopHover();
    this.keep(workspace, draft);
  }

  private keep(workspace: Workspace, draft: Draft): void {
    const { base, step, outline } = draft;
    const record = step.value?.record ?? [];
    const took = Date.now() - draft.started;
    if (draft.isWorthKeeping && outline) {
      const score = draft.choice.value?.score ?? null;
      const source = step.value?.source ?? "model";
      const object = base
        ? { ...base, label: draft.label.value, segmentation: outline.rle, score, source }
        : workspace.newObject(outline, draft.label.value, score, source, draft.id);
      workspace.put(object, record, took);
    } else if (base && draft.now.value > 0 && outline && isEmpty(outline.runs)) {
      workspace.remove([base.id]);
    } else if (base && draft.label.value !== base.label) {
      workspace.put({ ...base, label: draft.label.value }, [], took);
    }
  }

  discard(): void {
    const workspace = this.host.workspace();
    if (workspace) workspace.draft.value = null;
    this.stopHover();
  }

  private draftIn(workspace: Workspace): Draft {
    if (!workspace.draft.value) {
      workspace.selected.value = null;
      workspace.draft.value = new Draft(null, null, this.host.label());
    }
    return workspace.draft.value!;
  }
}

/** Places of the choices, best score first. */
export function byScore(choices: readonly Choice[]): number[] {
  return choices.map((_, i) => i).sort((a, b) => (choices[b]!.score ?? 0) - (choices[a]!.score ?? 0));
}
