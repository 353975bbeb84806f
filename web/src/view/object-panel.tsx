/** The objects of the image: select, relabel, hide, order and delete them. */

import { useEffect, useRef } from "preact/hooks";
import type { MaskObject } from "../api/types";
import type { Workspace } from "../state/workspace";
import { CommandButton, usePage } from "./context";
import { Icon } from "./icons";

export function ObjectPanel() {
  const { app } = usePage();
  const workspace = app.workspace.value;
  const objects = workspace?.objects.value ?? [];
  return (
    <section class="section objects" aria-label="Objects">
      <h2>
        Objects <small>{objects.length || ""}</small>
      </h2>
      {workspace && objects.length > 0 ? (
        <ul>
          {objects.map((object, i) => (
            <ObjectRow key={object.id} workspace={workspace} object={object} number={i + 1} />
          ))}
        </ul>
      ) : (
        <p class="faint">None yet. Click on a thing in the image.</p>
      )}
      {workspace?.selected.value && !workspace.readOnly.value && <Actions />}
    </section>
  );
}

function Actions() {
  return (
    <div class="actions" role="group" aria-label="Selected object">
      <CommandButton id="refine" icon="edit" text="Edit" wide />
      <CommandButton id="object-up" icon="up" text="Move up" />
      <CommandButton id="object-down" icon="down" text="Move down" />
      <CommandButton id="zoom-object" icon="search" text="Zoom to it" />
      <CommandButton id="delete" icon="delete" text="Delete" />
    </div>
  );
}

function ObjectRow({ workspace, object, number }: { workspace: Workspace; object: MaskObject; number: number }) {
  const { app } = usePage();
  const isSelected = workspace.selected.value === object.id;
  const isHidden = workspace.hidden.value.has(object.id);
  const name = app.labels.nameOf(object.label);
  const line = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isSelected) line.current?.scrollIntoView({ block: "nearest" });
  }, [isSelected]);
  const select = (): void => {
    if (workspace.draft.value?.base?.id === object.id) return;
    void app.drawing.finish();
    workspace.selected.value = isSelected ? null : object.id;
  };
  return (
    <li class="line" ref={line}>
      <button type="button" class="grow" aria-pressed={isSelected} onClick={select}>
        <span class="chip" style={{ background: app.labels.colourOf(object.label) }} />
        <span class="name">
          {number}. {name}
        </span>
        {object.score !== null && <small title="The model's own estimate">{object.score.toFixed(2)}</small>}
      </button>
      {isSelected && !workspace.readOnly.value && (
        <select
          aria-label={`Label of object ${number}`}
          value={object.label ?? ""}
          onChange={(event) => workspace.put({ ...object, label: event.currentTarget.value || null })}
        >
          <option value="">no label</option>
          {app.labels.all.value.map((label) => (
            <option key={label.id} value={label.id}>
              {label.name}
            </option>
          ))}
        </select>
      )}
      <button
        type="button"
        class="small"
        aria-label={`${isHidden ? "Show" : "Hide"} object ${number}, ${name}`}
        aria-pressed={!isHidden}
        onClick={() => workspace.toggleHidden(object.id)}
      >
        <Icon name={isHidden ? "hidden" : "eye"} />
      </button>
    </li>
  );
}
