/** The middle of the page: the stage with what floats over it. */

import { useEffect, useRef } from "preact/hooks";
import { byScore } from "../state/drawing";
import type { Draft } from "../state/draft";
import type { Lock } from "../state/workspace";
import { CommandButton, usePage } from "./context";
import { Icon } from "./icons";
import { Stage } from "./stage";
import { ToolBar, ToolOptions } from "./tool-bar";

export function StageView() {
  const { app, stage } = usePage();
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const made = new Stage(host.current!, app);
    stage.value = made;
    return () => {
      stage.value = null;
      made.close();
    };
  }, [app, stage]);
  const workspace = app.workspace.value;
  const draft = workspace?.draft.value;
  const lock = workspace?.lock.value;
  const problem = stage.value?.problem.value;
  return (
    <main class="middle">
      <div
        class="stage"
        ref={host}
        tabIndex={0}
        role="application"
        aria-roledescription="image with masks"
        aria-label={workspace ? `Image ${workspace.image.name}. Arrow keys move a crosshair, Space clicks there.` : "No image"}
      />
      <ToolBar />
      <ToolOptions />
      {lock && <LockBanner lock={lock} />}
      {problem && <p class="banner">{problem}</p>}
      {!workspace && <Nothing />}
      <div class="floating">
        {draft && <DraftBar draft={draft} />}
        {!draft && !!workspace?.picks.value.length && <PickBar count={workspace.picks.value.length} />}
      </div>
      <Zoom />
    </main>
  );
}

function Zoom() {
  const { stage, run } = usePage();
  const scale = stage.value?.viewport.value.scale ?? 1;
  return (
    <button type="button" class="zoom" title="Actual size (Shift+F)" onClick={() => run("actual")}>
      {Math.round(100 * scale)} %
    </button>
  );
}

function Nothing() {
  const { app } = usePage();
  if (!app.session.value || app.opening.value) return null;
  const canUpload = app.session.value.limits.upload_bytes > 0;
  return (
    <p class="nothing">
      {app.gallery.total.value ? "Choose an image on the left." : "There are no images yet."}
      {canUpload && !app.gallery.total.value && " Drop some here."}
    </p>
  );
}

function LockBanner({ lock }: { lock: Lock }) {
  const until = new Date(lock.until);
  const time = Number.isNaN(until.getTime()) ? "" : ` until ${until.toLocaleTimeString([], { timeStyle: "short" })}`;
  return (
    <p class="banner" role="status">
      <Icon name="lock" /> {lock.by} is working on this image{time}. You can look, but not change it.
    </p>
  );
}

/** For the object in the making: which of its masks, and what to do with it. */
function DraftBar({ draft }: { draft: Draft }) {
  const { app } = usePage();
  const step = draft.step.value;
  const isWaiting = draft.asked.value.length > 0;
  return (
    <div class="bar" role="group" aria-label="Object in the making">
      {step && step.choices.length > 1 && (
        <div class="choices" role="group" aria-label="Masks to choose from, with their scores">
          {byScore(step.choices).map((index, place) => (
            <button
              key={index}
              type="button"
              class="button"
              aria-pressed={index === step.chosen}
              title={`Mask ${place + 1} (A, or Alt and the wheel)`}
              onClick={() => app.drawing.choose(index)}
            >
              <small>{place + 1}</small> {step.choices[index]!.score?.toFixed(2)}
            </button>
          ))}
        </div>
      )}
      {step?.choices.length === 1 && step.choices[0]!.score !== null && (
        <span class="score" title="The model's own estimate">
          {step.choices[0]!.score.toFixed(2)}
        </span>
      )}
      {isWaiting && <span class="spinner" role="img" aria-label="Waiting for the mask" />}
      <CommandButton id="tidy" icon="tidy" text="Tidy" />
      <CommandButton id="cancel" icon="close" text="Discard" />
      <CommandButton id="finish" icon="done" text="Finish" wide />
    </div>
  );
}

function PickBar({ count }: { count: number }) {
  return (
    <div class="bar" role="group" aria-label="Masks to pick from">
      <span>{count} to pick from: click the ones to take.</span>
      <CommandButton id="take-all" icon="done" text="Take all" wide />
      <CommandButton id="cancel" icon="close" text="Close" />
    </div>
  );
}
