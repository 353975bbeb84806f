/** How long a person waits, as measures that a benchmark can read from the page's performance entries. */

export const CLICK_TO_MASK = "anymask:click-to-mask";
export const PRESS_TO_MASK = "anymask:press-to-mask";
export const OPEN_TO_READY = "anymask:open-to-ready";
export const DECODE = "anymask:decode";

/** The decoder alone, as its worker measured it. */
export function decoded(duration: number): void {
  performance.measure(DECODE, { start: Math.max(0, performance.now() - duration), duration });
}

/** When the button went down and came up again, in the page's own time. */
export interface ClickTimes {
  pressed: number;
  clicked: number;
}

let waiting: { of: object; times: ClickTimes } | null = null;
let opened: { image: number; at: number; drawn: boolean; embedded: boolean } | null = null;

/** The answer to a click is there and will be drawn. */
export function answered(of: object, times: ClickTimes | null): void {
  waiting = times && { of, times };
}

/** Called in the frame that drew the answer. */
export function drewAnswer(of: object): void {
  if (waiting?.of !== of) return;
  const end = performance.now();
  performance.measure(CLICK_TO_MASK, { start: waiting.times.clicked, end });
  performance.measure(PRESS_TO_MASK, { start: waiting.times.pressed, end });
  waiting = null;
}

export function openedImage(image: number): void {
  opened = { image, at: performance.now(), drawn: false, embedded: false };
}

/** The image is ready when it is seen and when clicks on it can be answered. */
export function readyPart(image: number, part: "drawn" | "embedded"): void {
  if (opened?.image !== image || opened[part]) return;
  opened[part] = true;
  if (opened.drawn && opened.embedded) performance.measure(OPEN_TO_READY, { start: opened.at, detail: { image } });
}
