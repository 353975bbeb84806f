/** Prompts of one object as the decoder takes them, and which of its four masks answer them. */

import { type Frame, toModel } from "./frame";

export interface PromptPoint {
  x: number;
  y: number;
  label: 0 | 1;
}

export type Box = [number, number, number, number];

/** What is known of one object, in original pixels; `logits` are those of an earlier answer. */
export interface ObjectPrompt {
  points: PromptPoint[];
  box: Box | null;
  logits: Float32Array | null;
}

export interface Tokens {
  coords: Float32Array;
  labels: BigInt64Array;
  present: Uint8Array;
}

/** Whether several masks may be right: one click and nothing else. */
export function isAmbiguous(prompt: ObjectPrompt): boolean {
  return prompt.points.length === 1 && prompt.box === null && prompt.logits === null;
}

/** Which of the decoder's masks to draw: the three of an ambiguous prompt, else the first alone. */
export function wantedMasks(prompt: ObjectPrompt): number[] {
  return isAmbiguous(prompt) ? [1, 2, 3] : [0];
}

/** The place of the best score; the first where several are best. */
export function bestOf(scores: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[best]!) best = i;
  return best;
}

/** Points and then the corners of the box; points without a box are followed by one token that is not a point. */
export function tokens(prompt: ObjectPrompt, frame: Frame): Tokens {
  const coords: number[] = [];
  const labels: number[] = [];
  for (const point of prompt.points) {
    coords.push(...toModel(frame, point.x, point.y));
    labels.push(point.label);
  }
  if (prompt.box) {
    const [x0, y0, x1, y1] = prompt.box;
    coords.push(...toModel(frame, x0, y0), ...toModel(frame, x1, y1));
    labels.push(2, 3);
  } else if (labels.length) {
    coords.push(0, 0);
    labels.push(-1);
  }
  return {
    coords: Float32Array.from(coords),
    labels: BigInt64Array.from(labels, BigInt),
    present: new Uint8Array(labels.length).fill(1),
  };
}

/** Text that is the same for the same prompt, so that a preview can serve as the answer to the click that follows it. */
export function promptKey(prompt: ObjectPrompt): string {
  return JSON.stringify([prompt.points.map((p) => [p.x, p.y, p.label]), prompt.box, numberOf(prompt.logits)]);
}

const numbers = new WeakMap<Float32Array, number>();
let lastNumber = 0;

/** Logits are the same where they are the same array, which nobody writes to. */
function numberOf(logits: Float32Array | null): number | null {
  if (!logits) return null;
  const number = numbers.get(logits) ?? ++lastNumber;
  numbers.set(logits, number);
  return number;
}
