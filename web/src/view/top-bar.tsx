/** The bar at the top: the image and where it is in the list, undo, finding, and the rest of the house. */

import { useSignal } from "@preact/signals";
import { settings } from "../state/settings";
import { CommandButton, usePage } from "./context";
import { Icon } from "./icons";

export function TopBar() {
  const { app } = usePage();
  const session = app.session.value;
  const workspace = app.workspace.value;
  const can = session?.capabilities;
  const status = workspace?.status.value;
  const { gallery, panels } = settings.value;
  return (
    <header class="top-bar">
      <CommandButton id="gallery" icon="images" text="List of images" pressed={gallery} />
      <div class="group title">
        <CommandButton id="previous-image" icon="previous" text="Previous image" />
        <CommandButton id="next-image" icon="next" text="Next image" />
        <ImageTitle />
      </div>
      <div class="group">
        <CommandButton id="undo" icon="undo" text="Undo" disabled={!workspace || !canUndo(workspace)} />
        <CommandButton id="redo" icon="redo" text="Redo" disabled={!workspace || !canRedo(workspace)} />
      </div>
      {can?.text && <TextPrompt />}
      <div class="group">
        {can?.everything && <CommandButton id="everything" icon="everything" text="Everything" wide />}
        <CommandButton id="copy" icon="copy" text="Copy from previous" />
      </div>
      <span class="spring" />
      <div class="group">
        <CommandButton id="skip" icon="skip" text="Skip" disabled={!workspace} pressed={status === "skipped"} />
        {status === "done" && <CommandButton id="reopen" icon="edit" text="Not done" />}
        <CommandButton id="done" icon="done" text="Done" wide disabled={!workspace} pressed={status === "done"} />
      </div>
      <div class="group">
        {!!can?.import.length && <CommandButton id="import" icon="import" text="Import" />}
        {!!can?.export.length && <CommandButton id="export" icon="export" text="Export" />}
        <CommandButton id="theme" icon="theme" text="Dark or light" />
        <CommandButton id="settings" icon="settings" text="Settings" />
        <CommandButton id="help" icon="help" text="Help" />
        <CommandButton id="panels" icon="panels" text="Labels and objects" pressed={panels} />
      </div>
      {session?.needs_token && session.person && (
        <button type="button" class="button" title="Log out" onClick={() => void app.logout()}>
          <Icon name="person" />
          <span>{session.person}</span>
        </button>
      )}
    </header>
  );
}

type Undoable = NonNullable<ReturnType<typeof usePage>["app"]["workspace"]["value"]>;

function canUndo(workspace: Undoable): boolean {
  return workspace.draft.value !== null || workspace.canUndo.value;
}

function canRedo(workspace: Undoable): boolean {
  const draft = workspace.draft.value;
  return draft ? draft.now.value < draft.steps.value.length : workspace.canRedo.value;
}

function ImageTitle() {
  const { app } = usePage();
  const image = app.opening.value ?? app.workspace.value?.image;
  if (!image) return <h1 class="image-title">{app.session.value?.project ?? "anymask"}</h1>;
  const place = app.gallery.placeOf(image.id);
  const { total } = app.gallery;
  return (
    <h1 class="image-title" title={`${image.name}, ${image.width}×${image.height}`}>
      <span class="image-name">{image.name}</span>
      <small>
        {place === null ? "" : `${place + 1} / ${total.value}`}
        {app.opening.value ? " · opening …" : ""}
      </small>
    </h1>
  );
}

function TextPrompt() {
  const { app } = usePage();
  const text = useSignal("");
  const find = (event: Event): void => {
    event.preventDefault();
    const wanted = text.value.trim();
    if (wanted) void app.findText(wanted);
  };
  return (
    <form class="text-prompt" role="search" onSubmit={find}>
      <label class="visually-hidden" for="text-prompt">
        Find by text
      </label>
      <input
        id="text-prompt"
        type="search"
        placeholder="Find by text, e.g. cat (T)"
        value={text.value}
        maxLength={500}
        autocomplete="off"
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <button type="submit" class="button square" aria-label="Find by text" disabled={!app.workspace.value}>
        <Icon name="search" />
      </button>
    </form>
  );
}
