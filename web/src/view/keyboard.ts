/** The keyboard: keys to commands and labels, unless somebody is typing. */

import type { App } from "../state/app";
import { commandFor, labelKey } from "../state/keymap";
import type { Run } from "./commands";
import type { Stage } from "./stage";

export function listenToKeys(app: App, run: Run, stage: () => Stage | null): () => void {
  const down = (event: KeyboardEvent): void => {
    if (app.dialog.peek() !== null || event.defaultPrevented) return;
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (target?.matches("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const onControl = target?.matches("button, a, summary, [role=option]") ?? false;
    if (onControl && (event.key === "Enter" || event.key === " " || event.key.startsWith("Arrow")) && !event.altKey) return;
    if (event.key === " ") {
      // Held it pans with the pointer; a tap is a click at the crosshair, when it comes up.
      const gestures = stage()?.gestures;
      if (gestures) gestures.isPanKeyDown = true;
      event.preventDefault();
      return;
    }
    const digit = labelKey(event);
    if (digit !== null) {
      const label = app.labels.all.peek().find((known) => known.key === digit);
      if (label) app.useLabel(label.id);
      return;
    }
    const command = commandFor(event);
    if (!command) return;
    event.preventDefault();
    run(command, event.shiftKey);
  };
  const up = (event: KeyboardEvent): void => {
    const gestures = stage()?.gestures;
    if (event.key !== " " || !gestures?.isPanKeyDown) return;
    gestures.isPanKeyDown = false;
    if (!gestures.hasPanned) run(event.shiftKey ? "cursor-minus" : "cursor-plus");
    gestures.hasPanned = false;
  };
  window.addEventListener("keydown", down);
  window.addEventListener("keyup", up);
  return () => {
    window.removeEventListener("keydown", down);
    window.removeEventListener("keyup", up);
  };
}
