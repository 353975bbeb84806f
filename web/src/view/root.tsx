/** The page as a whole. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { settings } from "../state/settings";
import { usePage } from "./context";
import { ExportDialog } from "./dialogs/export";
import { HelpDialog } from "./dialogs/help";
import { ImportDialog } from "./dialogs/import";
import { LoginDialog } from "./dialogs/login";
import { SettingsDialog } from "./dialogs/settings";
import { GalleryPanel } from "./gallery-panel";
import { LabelPanel } from "./label-panel";
import { ObjectPanel } from "./object-panel";
import { StageView } from "./stage-view";
import { StatusLine } from "./status-line";
import { TopBar } from "./top-bar";

export function Root() {
  const { gallery, panels, theme } = settings.value;
  useEffect(() => {
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  return (
    <DropTarget>
      <TopBar />
      <div class="columns">
        {gallery && <GalleryPanel />}
        <StageView />
        {panels && (
          <aside class="panel side" aria-label="Labels and objects">
            <LabelPanel />
            <ObjectPanel />
          </aside>
        )}
      </div>
      <StatusLine />
      <Dialogs />
    </DropTarget>
  );
}

function Dialogs() {
  switch (usePage().app.dialog.value) {
    case "help":
      return <HelpDialog />;
    case "export":
      return <ExportDialog />;
    case "import":
      return <ImportDialog />;
    case "login":
      return <LoginDialog />;
    case "settings":
      return <SettingsDialog />;
    case null:
      return null;
  }
}

/** Files dropped anywhere are uploaded. */
function DropTarget({ children }: { children: preact.ComponentChildren }) {
  const { app } = usePage();
  const isOver = useSignal(false);
  const takes = (event: DragEvent): boolean =>
    !!app.session.value?.limits.upload_bytes && !!event.dataTransfer?.types.includes("Files");
  return (
    <div
      class={isOver.value ? "page dropping" : "page"}
      onDragOver={(event) => {
        if (!takes(event)) return;
        event.preventDefault();
        isOver.value = true;
      }}
      onDragLeave={(event) => {
        if (!event.relatedTarget) isOver.value = false;
      }}
      onDrop={(event) => {
        isOver.value = false;
        if (!takes(event)) return;
        event.preventDefault();
        void app.upload([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      {children}
    </div>
  );
}
