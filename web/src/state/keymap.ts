/** Which key does what: one table for the keyboard, the help sheet and the buttons' hints. */

export type Group = "Tools" | "Object" | "Labels" | "Images" | "Finding" | "View" | "Pointing by keyboard" | "Other";

export interface Command {
  id: string;
  keys: string[];
  text: string;
  group: Group;
}

const LIST = [
  ["tool-click", ["C"], "Click and box", "Tools"],
  ["tool-brush", ["B"], "Brush", "Tools"],
  ["tool-erase", ["E"], "Eraser", "Tools"],
  ["tool-polygon", ["P"], "Polygon", "Tools"],
  ["tool-select", ["V"], "Select and move the image", "Tools"],
  ["tool-gaze", ["G"], "Gaze: rest the pointer on a thing", "Tools"],
  ["brush-smaller", ["["], "Smaller brush", "Tools"],
  ["brush-larger", ["]"], "Larger brush", "Tools"],
  ["hole", ["K"], "Polygon cuts a hole, or adds", "Tools"],
  ["minus", ["Shift+X"], "Clicks mean plus, or minus", "Tools"],
  ["finish", ["Enter"], "Finish the object; open the selected one", "Object"],
  ["cancel", ["Escape"], "Discard the object in the making; deselect", "Object"],
  ["delete", ["Delete", "Backspace"], "Delete the object, or the chosen corner", "Object"],
  ["undo", ["Ctrl+Z"], "Undo", "Object"],
  ["redo", ["Ctrl+Shift+Z", "Ctrl+Y"], "Redo", "Object"],
  ["alternative", ["A"], "Next of the three masks (or Alt and the wheel)", "Object"],
  ["alternative-back", ["Shift+A"], "The one before", "Object"],
  ["refine", ["R"], "Open the selected object again", "Object"],
  ["tidy", ["X"], "Drop specks and fill pinholes", "Object"],
  ["next-object", ["J"], "Select the next object", "Object"],
  ["previous-object", ["Shift+J"], "Select the object before", "Object"],
  ["object-up", ["Alt+ArrowUp"], "Move the object up in the list", "Object"],
  ["object-down", ["Alt+ArrowDown"], "Move the object down in the list", "Object"],
  ["hide", ["H"], "Hide or show the selected object", "Object"],
  ["hide-all", ["Shift+H"], "Hide or show all objects", "Object"],
  ["label-new", ["L"], "Add a label", "Labels"],
  ["label-none", ["Shift+L"], "No label", "Labels"],
  ["next-image", ["N", "PageDown"], "Next image", "Images"],
  ["previous-image", ["Shift+N", "PageUp"], "Previous image", "Images"],
  ["done", ["D"], "Mark as done and go on", "Images"],
  ["skip", ["S"], "Skip and go on", "Images"],
  ["reopen", ["Shift+D"], "Mark as not done", "Images"],
  ["copy", ["M"], "Copy the objects of the previous image", "Images"],
  ["search", ["/"], "Search the images", "Images"],
  ["text", ["T"], "Find by text", "Finding"],
  ["everything", ["Y"], "Find everything, to pick from", "Finding"],
  ["take-all", ["Shift+Y"], "Take all that was found", "Finding"],
  ["zoom-in", ["+", "="], "Zoom in (or the wheel)", "View"],
  ["zoom-out", ["-"], "Zoom out", "View"],
  ["fit", ["F"], "Fit the image", "View"],
  ["actual", ["Shift+F"], "Actual size", "View"],
  ["zoom-object", ["Z"], "Zoom to the object", "View"],
  ["gallery", ["Shift+G"], "Show or hide the list of images", "View"],
  ["panels", ["Shift+P"], "Show or hide labels and objects", "View"],
  ["theme", ["Shift+T"], "Dark or light", "View"],
  ["export", ["Shift+E"], "Export", "Other"],
  ["import", ["Shift+I"], "Import", "Other"],
  ["settings", [","], "Settings", "Other"],
  ["help", ["?"], "This sheet", "Other"],
  ["cursor-left", ["ArrowLeft", "Shift+ArrowLeft"], "Move the crosshair (with Shift farther)", "Pointing by keyboard"],
  ["cursor-right", ["ArrowRight", "Shift+ArrowRight"], "", "Pointing by keyboard"],
  ["cursor-up", ["ArrowUp", "Shift+ArrowUp"], "", "Pointing by keyboard"],
  ["cursor-down", ["ArrowDown", "Shift+ArrowDown"], "", "Pointing by keyboard"],
  ["cursor-plus", ["Space"], "Click at the crosshair", "Pointing by keyboard"],
  ["cursor-minus", ["Shift+Space"], "Right click at the crosshair", "Pointing by keyboard"],
  ["cursor-box", ["O"], "One corner of a box, then the other", "Pointing by keyboard"],
] as const satisfies readonly (readonly [string, readonly string[], string, Group])[];

export type CommandId = (typeof LIST)[number][0];

export const COMMANDS: readonly (Command & { id: CommandId })[] = LIST.map(([id, keys, text, group]) => ({
  id,
  keys: [...keys],
  text,
  group,
}));

const byKey = new Map(COMMANDS.flatMap((command) => command.keys.map((key) => [key, command.id] as const)));

/** The part of a KeyboardEvent that is used. */
export interface KeyLike {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
}

/** A key with its modifiers, as the table writes it. Signs such as ? are what they are, however they are typed. */
export function keyName(event: KeyLike): string {
  const isLetter = /^\p{L}$/u.test(event.key);
  const isSign = event.key.length === 1 && !isLetter && event.key !== " ";
  const key = event.key === " " ? "Space" : isLetter ? event.key.toUpperCase() : event.key;
  const parts: string[] = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey && !isSign) parts.push("Alt");
  if (event.shiftKey && !isSign) parts.push("Shift");
  return [...parts, key].join("+");
}

export function commandFor(event: KeyLike): CommandId | null {
  return byKey.get(keyName(event)) ?? null;
}

/** The digit of a label's key; null for any other key. */
export function labelKey(event: KeyLike): string | null {
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  return isPlain && /^[0-9]$/.test(event.key) ? event.key : null;
}

/** The first key of a command, to be shown with its button. */
export function hint(id: CommandId): string {
  return COMMANDS.find((command) => command.id === id)!.keys[0]!;
}
