/** Where the page begins: which backend, and everything put together. */

import { signal } from "@preact/signals";
import { render } from "preact";
import { ServerBackend } from "./api/server";
import { StaticBackend } from "./api/static";
import { BrowserStore, MemoryStore } from "./api/store";
import { App } from "./state/app";
import { keepSettings } from "./state/settings";
import "./styles.css";
import { commandRunner } from "./view/commands";
import { PageContext } from "./view/context";
import { listenToKeys } from "./view/keyboard";
import { Root } from "./view/root";
import type { Stage } from "./view/stage";

const demo = document.querySelector<HTMLMetaElement>('meta[name="anymask-backend"]')?.content;
const app = new App({
  backend: demo ? new StaticBackend(demo) : new ServerBackend(),
  store: "indexedDB" in globalThis ? new BrowserStore() : new MemoryStore(),
  newWorker: () => new Worker(new URL("./decoder/worker.ts", import.meta.url), { type: "module", name: "decoder" }),
  ortUrl: new URL(__ORT_FOLDER__, document.baseURI).href,
});

keepSettings();
const stage = signal<Stage | null>(null);
const run = commandRunner(app, () => stage.peek());
listenToKeys(app, run, () => stage.peek());
window.addEventListener("online", () => app.outbox.retry());
window.addEventListener("pagehide", () => app.workspace.peek()?.close());
window.addEventListener("pageshow", (event) => {
  if (event.persisted) void app.reopen();
});
window.addEventListener("beforeunload", (event) => {
  // What waits is kept in this browser, but an object in the making would be lost.
  if (app.workspace.peek()?.draft.peek()?.isWorthKeeping) event.preventDefault();
});

render(
  <PageContext.Provider value={{ app, run, stage }}>
    <Root />
  </PageContext.Provider>,
  document.getElementById("page")!,
);
void app.start();
