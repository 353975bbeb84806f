/** The help sheet: what the pointer does, and every key. */

import { COMMANDS, type Group } from "../../state/keymap";
import { usePage } from "../context";
import { Dialog } from "./dialog";

const POINTER: [string, string][] = [
  ["Click", "on the object"],
  ["Right click, Shift and click, long press", "beside the object"],
  ["Drag", "a box around it"],
  ["Rest the pointer", "see what a click would give"],
  ["Alt and wheel", "the other masks of a click"],
  ["Ctrl and click", "select an object"],
  ["Wheel, pinch", "zoom"],
  ["Space or middle button and drag, two fingers", "move the image"],
  ["Polygon: drag a corner or a side", "move or make a corner; right click or long press removes it"],
];

export function HelpDialog() {
  const { app } = usePage();
  const groups = [...new Set(COMMANDS.map((command) => command.group))];
  return (
    <Dialog title="Help" wide onClose={() => (app.dialog.value = null)}>
      <div class="help">
        <section>
          <h3>Pointer</h3>
          <dl>
            {POINTER.map(([what, does]) => (
              <div key={what}>
                <dt>{what}</dt>
                <dd>{does}</dd>
              </div>
            ))}
          </dl>
        </section>
        {groups.map((group) => (
          <Keys key={group} group={group} />
        ))}
      </div>
    </Dialog>
  );
}

function Keys({ group }: { group: Group }) {
  return (
    <section>
      <h3>{group}</h3>
      <dl>
        {group === "Labels" && (
          <div>
            <dt>
              <kbd>1</kbd> … <kbd>0</kbd>
            </dt>
            <dd>Use the label of that key; finishes the object</dd>
          </div>
        )}
        {COMMANDS.filter((command) => command.group === group && command.text).map((command) => (
          <div key={command.id}>
            <dt>{command.id === "cursor-left" ? <kbd>Arrows</kbd> : command.keys.map((key) => <kbd key={key}>{key.replace("ArrowUp", "↑").replace("ArrowDown", "↓")}</kbd>)}</dt>
            <dd>{command.text}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
