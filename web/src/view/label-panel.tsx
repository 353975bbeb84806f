/** The labels: which is used, their keys and colours, and how they are changed. */

import { useSignal } from "@preact/signals";
import type { Label } from "../api/types";
import { usePage } from "./context";
import { Icon } from "./icons";

export function LabelPanel() {
  const { app } = usePage();
  const editing = useSignal<string | null>(null);
  const objects = app.workspace.value?.objects.value ?? [];
  return (
    <section class="section labels" aria-label="Labels">
      <h2>Labels</h2>
      <ul>
        {app.labels.all.value.map((label) => (
          <li key={label.id}>
            {editing.value === label.id ? (
              <LabelEditor label={label} onClose={() => (editing.value = null)} />
            ) : (
              <LabelRow
                label={label}
                count={objects.filter((object) => object.label === label.id).length}
                onEdit={() => (editing.value = label.id)}
              />
            )}
          </li>
        ))}
      </ul>
      <NewLabel />
    </section>
  );
}

function LabelRow({ label, count, onEdit }: { label: Label; count: number; onEdit: () => void }) {
  const { app } = usePage();
  return (
    <div class="line">
      <button
        type="button"
        class="grow"
        aria-pressed={app.labels.current.value === label.id}
        onClick={() => app.useLabel(app.labels.current.value === label.id && !app.workspace.value?.draft.value ? null : label.id)}
      >
        <span class="chip" style={{ background: label.colour }} />
        <span class="name">{label.name}</span>
        {count > 0 && <small>{count}</small>}
        {label.key && <kbd>{label.key}</kbd>}
      </button>
      <button type="button" class="small" aria-label={`Change ${label.name}`} title="Change" onClick={onEdit}>
        <Icon name="edit" />
      </button>
    </div>
  );
}

function LabelEditor({ label, onClose }: { label: Label; onClose: () => void }) {
  const { app } = usePage();
  const name = useSignal(label.name);
  const colour = useSignal(label.colour);
  const key = useSignal(label.key ?? "");
  const taken = app.labels.all.value.flatMap((other) => (other.id !== label.id && other.key ? [other.key] : []));
  const save = (event: Event): void => {
    event.preventDefault();
    const trimmed = name.value.trim();
    if (!trimmed) return;
    void app.labels.save({ ...label, name: trimmed, colour: colour.value, key: key.value || null });
    onClose();
  };
  return (
    <form class="label-editor" onSubmit={save} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <input type="color" aria-label="Colour" value={colour.value} onInput={(e) => (colour.value = e.currentTarget.value)} />
      <input
        type="text"
        aria-label="Name"
        value={name.value}
        maxLength={200}
        ref={(field) => field?.focus()}
        onInput={(e) => (name.value = e.currentTarget.value)}
      />
      <select aria-label="Key" value={key.value} onChange={(e) => (key.value = e.currentTarget.value)}>
        <option value="">no key</option>
        {[..."1234567890"]
          .filter((digit) => !taken.includes(digit))
          .map((digit) => (
            <option key={digit} value={digit}>
              key {digit}
            </option>
          ))}
      </select>
      <div class="actions">
        <button type="submit" class="button">
          Save
        </button>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          class="button square danger"
          aria-label={`Delete ${label.name}`}
          title="Delete the label"
          onClick={() => {
            void app.labels.remove(label.id);
            onClose();
          }}
        >
          <Icon name="delete" />
        </button>
      </div>
    </form>
  );
}

function NewLabel() {
  const { app } = usePage();
  const name = useSignal("");
  const add = (event: Event): void => {
    event.preventDefault();
    const trimmed = name.value.trim();
    if (!trimmed) return;
    name.value = "";
    void app.labels.add(trimmed);
  };
  return (
    <form class="new-label" onSubmit={add}>
      <label class="visually-hidden" for="new-label">
        New label
      </label>
      <input
        id="new-label"
        type="text"
        placeholder="New label (L)"
        maxLength={200}
        value={name.value}
        autocomplete="off"
        onInput={(event) => (name.value = event.currentTarget.value)}
      />
      <button type="submit" class="button square" aria-label="Add the label" disabled={!name.value.trim()}>
        <Icon name="plus" />
      </button>
    </form>
  );
}
