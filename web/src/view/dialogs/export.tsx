/** The export dialog: a format, which images, and the file when it is made. */

import { useSignal } from "@preact/signals";
import type { Exported } from "../../api/backend";
import { usePage } from "../context";
import { Dialog } from "./dialog";
import { formatName } from "./formats";

export function ExportDialog() {
  const { app } = usePage();
  const formats = app.session.value?.capabilities.export ?? [];
  const format = useSignal(formats.includes("coco") ? "coco" : (formats[0] ?? ""));
  const only = useSignal<"all" | "done">("all");
  const made = useSignal<Exported | null>(null);
  const isBusy = app.work.current.value !== null;
  const start = (event: Event): void => {
    event.preventDefault();
    made.value = null;
    void app.work.during("Exporting", async (signal) => {
      const follow = { onJob: app.work.onJob, signal };
      made.value = await app.backend.export(format.value, only.value, follow);
    });
  };
  return (
    <Dialog title="Export" onClose={() => (app.dialog.value = null)}>
      <form class="form" onSubmit={start}>
        <fieldset>
          <legend>Format</legend>
          <div class="options">
            {formats.map((name) => (
              <label key={name} class="option">
                <input
                  type="radio"
                  name="format"
                  value={name}
                  checked={format.value === name}
                  onChange={() => (format.value = name)}
                />
                {formatName(name)}
              </label>
            ))}
          </div>
        </fieldset>
        <fieldset>
          <legend>Images</legend>
          <label class="option">
            <input type="radio" name="only" checked={only.value === "all"} onChange={() => (only.value = "all")} />
            all
          </label>
          <label class="option">
            <input type="radio" name="only" checked={only.value === "done"} onChange={() => (only.value = "done")} />
            those that are done
          </label>
        </fieldset>
        <Progress />
        <div class="dialog-actions">
          {made.value && <span class="file-name">{made.value.name}</span>}
          {made.value && (
            <a class="button primary" href={made.value.url} download={made.value.name}>
              Download
            </a>
          )}
          <button type="submit" class={made.value ? "button" : "button primary"} disabled={isBusy || !format.value}>
            Export
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function Progress() {
  const current = usePage().app.work.current.value;
  if (!current) return null;
  const { job } = current;
  return (
    <p class="progress" role="status">
      <progress value={job?.total ? job.done : undefined} max={job?.total || undefined} aria-label={current.what} />
      {job?.message || (job?.total ? `${job.done} of ${job.total}` : `${current.what} …`)}
      <button type="button" class="link" onClick={() => current.stop.abort()}>
        Cancel
      </button>
    </p>
  );
}
