/** What every part of the page reaches: the app, the commands and the stage. */

import type { Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { App } from "../state/app";
import { type CommandId, hint } from "../state/keymap";
import type { Run } from "./commands";
import { Icon, type IconName } from "./icons";
import type { Stage } from "./stage";

export interface Page {
  app: App;
  run: Run;
  stage: Signal<Stage | null>;
}

export const PageContext = createContext<Page | null>(null);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("the page has no context");
  return page;
}

interface CommandButtonProps {
  id: CommandId;
  icon: IconName;
  text: string;
  /** show the text beside the icon */
  wide?: boolean;
  pressed?: boolean;
  disabled?: boolean;
}

/** A button for a command, with its key in the hint. */
export function CommandButton({ id, icon, text, wide, pressed, disabled }: CommandButtonProps) {
  const { run } = usePage();
  return (
    <button
      type="button"
      class={wide ? "button" : "button square"}
      title={`${text} (${hint(id)})`}
      aria-label={text}
      aria-keyshortcuts={hint(id).replace("Ctrl", "Control")}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={() => run(id)}
    >
      <Icon name={icon} />
      {wide && <span>{text}</span>}
    </button>
  );
}
