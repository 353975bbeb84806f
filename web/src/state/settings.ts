/** What a person has set up in this browser: the theme, the brush, how long a gaze dwells. */

import { effect, signal } from "@preact/signals";

export interface Settings {
  theme: "system" | "dark" | "light";
  brush: number;
  hover: boolean;
  finishOnLabel: boolean;
  gallery: boolean;
  panels: boolean;
  fill: number;
  gazeRadius: number;
  gazePreviewMs: number;
  gazeTakeMs: number;
}

const DEFAULTS: Settings = {
  theme: "system",
  brush: 24,
  hover: true,
  finishOnLabel: true,
  gallery: true,
  panels: true,
  fill: 0.4,
  gazeRadius: 30,
  gazePreviewMs: 400,
  gazeTakeMs: 1200,
};

const KEY = "anymask-settings";

export const settings = signal<Settings>({ ...DEFAULTS });

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/** Read what was kept, and keep what changes. A browser that keeps nothing gets the defaults each time. */
export function keepSettings(): void {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>;
    settings.value = { ...DEFAULTS, ...kept };
  } catch {
    settings.value = { ...DEFAULTS };
  }
  effect(() => {
    const text = JSON.stringify(settings.value);
    try {
      localStorage.setItem(KEY, text);
    } catch {
      // private windows may forbid it
    }
  });
}
