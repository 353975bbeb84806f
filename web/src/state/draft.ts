/** The object in the making: its clicks, strokes and corners, each of which can be undone until it is finished. */

import { computed, signal } from "@preact/signals";
import type { MaskObject, PromptRecord, Source } from "../api/types";
import type { Box, ObjectPrompt, PromptPoint } from "../decoder/prompt";
import { isEmpty } from "../mask/runs";
import type { Answer, Mask } from "./decoding";
import { newId } from "./ids";
import { Outline } from "./outline";

/** One of the masks that an answer offers. */
export interface Choice {
  score: number | null;
  picture: ImageBitmap | null;
  mask: Mask | null;
}

/** The object after one more click, stroke or corner. */
export interface Step {
  points: PromptPoint[];
  box: Box | null;
  choices: Choice[];
  chosen: number;
  source: Source;
  /** what was done, from the first step on, as the change will say */
  record: PromptRecord[];
  answer: Answer | null;
}

export class Draft {
  readonly id: string;
  readonly label = signal<string | null>(null);
  readonly steps = signal<Step[]>([]);
  readonly now = signal(0);
  /** points whose answer is on its way */
  readonly asked = signal<PromptPoint[]>([]);
  readonly step = computed<Step | null>(() => this.steps.value[this.now.value - 1] ?? null);
  readonly choice = computed<Choice | null>(() => {
    const step = this.step.value;
    return step ? (step.choices[step.chosen] ?? null) : null;
  });
  readonly started = Date.now();
  /** whoever waits for the answers so far */
  busy: Promise<unknown> = Promise.resolve();

  constructor(
    readonly base: MaskObject | null,
    readonly initial: Outline | null,
    label: string | null,
  ) {
    this.id = base?.id ?? newId();
    this.label.value = label;
  }

  get outline(): Outline | null {
    const step = this.step.value;
    return step ? (step.choices[step.chosen]?.mask?.outline ?? null) : this.initial;
  }

  get canUndo(): boolean {
    return this.now.value > 0;
  }

  get canRedo(): boolean {
    return this.now.value < this.steps.value.length;
  }

  undo(): void {
    if (this.canUndo) this.now.value--;
  }

  redo(): void {
    if (this.canRedo) this.now.value++;
  }

  /** Whether there is a mask to keep that is not there already. */
  get isWorthKeeping(): boolean {
    const outline = this.outline;
    return this.now.value > 0 && outline !== null && !isEmpty(outline.runs);
  }

  push(step: Step): void {
    this.steps.value = [...this.steps.value.slice(0, this.now.value), step];
    this.now.value = this.steps.value.length;
  }

  /** A mask made by hand, on top of what is there. */
  pushMask(outline: Outline, source: Source, record: PromptRecord[]): void {
    const last = this.step.value;
    this.push({
      points: last?.points ?? [],
      box: last?.box ?? null,
      choices: [{ score: null, picture: null, mask: { outline, logits: null, picture: null } }],
      chosen: 0,
      source,
      record: [...(last?.record ?? []), ...record],
      answer: null,
    });
  }

  /** Show another of the masks that the last answer offers. */
  choose(index: number): void {
    this.change({ chosen: index });
  }

  /** Note a mask of a step, which may no longer be the last. */
  fill(step: Step, index: number, mask: Mask): void {
    this.steps.value = this.steps.value.map((other) =>
      other.answer !== step.answer || step.answer === null
        ? other
        : { ...other, choices: other.choices.map((choice, i) => (i === index ? { ...choice, mask } : choice)) },
    );
  }

  private change(part: Partial<Step>): void {
    const at = this.now.value - 1;
    this.steps.value = this.steps.value.map((step, i) => (i === at ? { ...step, ...part } : step));
  }
}

/** The prompt of the next click: all clicks so far, with the logits of the mask that is shown. */
export function nextPrompt(
  step: Step | null,
  more: { point?: PromptPoint; box?: Box },
  logits: Float32Array | null,
): ObjectPrompt {
  return {
    points: [...(step?.points ?? []), ...(more.point ? [more.point] : [])],
    box: more.box ?? step?.box ?? null,
    logits,
  };
}
