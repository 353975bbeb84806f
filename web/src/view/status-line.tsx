/** The line at the bottom: what was said last, long work, the decoder, and whether all is saved. */

import type { OutboxState } from "../api/outbox";
import type { DecoderState } from "../state/decoding";
import { usePage } from "./context";

export function StatusLine() {
  const { app } = usePage();
  const notice = app.notice.value;
  return (
    <footer class="status-line">
      <p class={notice?.grave ? "notice grave" : "notice"} role="status" aria-live="polite">
        {notice?.text}
      </p>
      <JobState />
      <span class="decoder">{decoderText(app.decoding.state.value)}</span>
      <SaveState state={app.outbox.state.value} />
    </footer>
  );
}

function JobState() {
  const { app } = usePage();
  const current = app.work.current.value;
  if (!current) return null;
  const { job } = current;
  return (
    <span class="job">
      {current.what} …{" "}
      {job && job.total > 0 ? <progress value={job.done} max={job.total} /> : <span class="spinner" aria-hidden="true" />}
      <button type="button" class="link" onClick={() => current.stop.abort()}>
        Cancel
      </button>
    </span>
  );
}

function decoderText(state: DecoderState): string {
  switch (state.kind) {
    case "ready":
      return `${state.loaded.model} on ${state.loaded.runsOn === "webgpu" ? "WebGPU" : "WebAssembly"}`;
    case "loading":
      return "Loading the decoder …";
    case "making":
      return "The decoder is being made; the server answers";
    case "server":
      return state.message || "The server answers";
    case "failed":
      return `The server answers: ${state.message}`;
    case "starting":
      return "";
  }
}

function SaveState({ state }: { state: OutboxState }) {
  const { app } = usePage();
  const { status, unsaved } = state;
  const text = {
    saved: "Saved",
    saving: "Saving …",
    offline: `Offline, ${unsaved} unsaved`,
    locked: `Locked by somebody else, ${unsaved} unsaved`,
    "signed-out": `Logged out, ${unsaved} unsaved`,
  }[status];
  return (
    <span class={`save ${status}`}>
      <span class="dot" aria-hidden="true" />
      {text}
      {(status === "offline" || status === "locked") && (
        <button type="button" class="link" onClick={() => app.outbox.retry()}>
          Try now
        </button>
      )}
    </span>
  );
}
