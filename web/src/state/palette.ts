/** Colours for labels, apart from one another and readable on photos. */

export const NO_LABEL = "#4aa3ff";

const COLOURS = [
  "#ff6b6b",
  "#ffd166",
  "#06d6a0",
  "#b388ff",
  "#ff9f1c",
  "#2ec4f1",
  "#f472b6",
  "#a3e635",
  "#e0aaff",
  "#f28482",
  "#84dcc6",
  "#ffe66d",
];

/** The first colour that no label has; when all are taken, they come again. */
export function freeColour(taken: readonly string[]): string {
  const used = new Set(taken.map((colour) => colour.toLowerCase()));
  return COLOURS.find((colour) => !used.has(colour)) ?? COLOURS[taken.length % COLOURS.length]!;
}

/** The first digit that no label has, 1 to 9 and then 0. */
export function freeKey(taken: readonly (string | null)[]): string | null {
  return [..."1234567890"].find((key) => !taken.includes(key)) ?? null;
}
