/** The import dialog: masks from a file that another program wrote. */

import { useSignal } from "@preact/signals";
import { usePage } from "../context";
import { Dialog } from "./dialog";
import { Progress } from "./export";
import { formatName } from "./formats";

/** What the server tells of an import, in words. */
function summary(found: Record<string, unknown>): string {
  const told = Object.entries(found).filter(([, value]) => (Array.isArray(value) ? value.length : value));
  return told.map(([name, value]) => `${name.replaceAll("_", " ")}: ${String(value)}`).join(", ");
}

export function ImportDialog() {
  const { app } = usePage();
  const formats = app.session.value?.capabilities.import ?? [];
  const format = useSignal("auto");
  const file = useSignal<File | null>(null);
  const result = useSignal("");
  const start = (event: Event): void => {
    event.preventDefault();
    const chosen = file.value;
    if (!chosen) return;
    result.value = "";
    void app.work.during("Importing", async (signal) => {
      const found = await app.backend.import(chosen, format.value, { onJob: app.work.onJob, signal });
      result.value = `Imported. ${summary(found)}`;
      await app.refreshAll();
    });
  };
  return (
    <Dialog title="Import" onClose={() => (app.dialog.value = null)}>
      <form class="form" onSubmit={start}>
        <label class="field">
          <span>A zip or a JSON file</span>
          <input type="file" accept=".zip,.json" onChange={(event) => (file.value = event.currentTarget.files?.[0] ?? null)} />
        </label>
        <label class="field">
          <span>Format</span>
          <select value={format.value} onChange={(event) => (format.value = event.currentTarget.value)}>
            {[...new Set(["auto", ...formats])].map((name) => (
              <option key={name} value={name}>
                {formatName(name)}
              </option>
            ))}
          </select>
        </label>
        <Progress />
        {result.value && <p role="status">{result.value}</p>}
        <div class="dialog-actions">
          <button type="submit" class="button primary" disabled={!file.value || app.work.current.value !== null}>
            Import
          </button>
        </div>
      </form>
    </Dialog>
  );
}
