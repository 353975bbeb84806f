/** The settings dialog: what is kept in this browser. */

import { change, settings, type Settings } from "../../state/settings";
import { usePage } from "../context";
import { Slider } from "../tool-bar";
import { Dialog } from "./dialog";

const THEMES: [Settings["theme"], string][] = [
  ["system", "as the system"],
  ["dark", "dark"],
  ["light", "light"],
];

export function SettingsDialog() {
  const { app } = usePage();
  const { theme, hover, finishOnLabel, fill } = settings.value;
  return (
    <Dialog title="Settings" onClose={() => (app.dialog.value = null)}>
      <div class="form">
        <fieldset>
          <legend>Theme</legend>
          {THEMES.map(([value, text]) => (
            <label key={value} class="option">
              <input type="radio" name="theme" checked={theme === value} onChange={() => change({ theme: value })} />
              {text}
            </label>
          ))}
        </fieldset>
        <label class="option">
          <input type="checkbox" checked={hover} onChange={(event) => change({ hover: event.currentTarget.checked })} />
          Show what a click would give where the pointer rests
        </label>
        <label class="option">
          <input
            type="checkbox"
            checked={finishOnLabel}
            onChange={(event) => change({ finishOnLabel: event.currentTarget.checked })}
          />
          A label's key finishes the object
        </label>
        <Slider
          label="Opacity of the masks"
          value={Math.round(100 * fill)}
          min={0}
          max={90}
          unit="%"
          onChange={(percent) => change({ fill: percent / 100 })}
        />
      </div>
    </Dialog>
  );
}
