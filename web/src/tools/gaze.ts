/** The gaze tool: the pointer stands for the eye; resting on a thing shows it, resting longer takes it. */

import { settings } from "../state/settings";
import type { Pen } from "../view/pen";
import { toImage } from "../view/viewport";
import { FixationFinder } from "./fixation";
import { hundredths, inside, type Point, type Stage, type Tool } from "./tool";

/** A still pointer sends no events, an eye tracker does; so it is looked at now and then. */
const SAMPLE_MS = 16;

export class GazeTool implements Tool {
  readonly cursor = "none";
  private readonly finder = new FixationFinder();
  private at: Point | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  /** start of the fixation that was shown, and of the one that was taken */
  private shown: number | null = null;
  private taken: number | null = null;

  constructor(private readonly stage: Stage) {}

  hover(at: Point): void {
    this.at = at;
    this.timer ??= setInterval(() => this.look(performance.now()), SAMPLE_MS);
  }

  press(at: Point): void {
    this.hover(at);
  }

  drag(at: Point): void {
    this.hover(at);
  }

  leave(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.at = null;
    this.finder.reset();
    this.shown = null;
    this.stage.app.drawing.stopHover();
    this.stage.redraw();
  }

  stop(): void {
    this.leave();
  }

  private look(time: number): void {
    const { at, stage } = this;
    if (!at || !stage.image) return;
    stage.redraw();
    const { gazeRadius, gazePreviewMs, gazeTakeMs } = settings.peek();
    const fixation = this.finder.add({ time, x: at.x, y: at.y }, { radius: gazeRadius, duration: gazePreviewMs });
    if (!fixation) {
      if (this.shown !== null) stage.app.drawing.stopHover();
      this.shown = null;
      return;
    }
    if (fixation.start === this.taken) return;
    const place = toImage(stage.view, fixation.x, fixation.y);
    if (!inside(stage.image, { ix: place.x, iy: place.y })) return;
    if (this.shown !== fixation.start) {
      this.shown = fixation.start;
      void stage.app.drawing.hover(hundredths(place.x), hundredths(place.y));
    }
    if (time - fixation.start >= gazeTakeMs) this.take(fixation.start);
  }

  /** What was shown is taken: the mask at the place that was asked for, not where the eye has drifted. */
  private take(start: number): void {
    const { app } = this.stage;
    const preview = app.drawing.preview.peek();
    if (!preview) return;
    this.taken = start;
    app.drawing.addPoint({ x: preview.x, y: preview.y, label: 1 });
    void app.drawing.finish().then(() => app.say("Taken."));
  }

  draw(pen: Pen): void {
    const since = this.finder.since;
    if (!this.at || since === null) return;
    const { gazeRadius, gazeTakeMs } = settings.peek();
    const place = toImage(pen.view, this.at.x, this.at.y);
    const { context } = pen;
    pen.circle(place.x, place.y, pen.px(gazeRadius), 1);
    const done = since === this.taken ? 1 : Math.min(1, (performance.now() - since) / gazeTakeMs);
    context.beginPath();
    context.arc(place.x, place.y, pen.px(gazeRadius), -Math.PI / 2, -Math.PI / 2 + done * 2 * Math.PI);
    context.strokeStyle = done === 1 ? "#06d6a0" : "#ffd166";
    context.lineWidth = pen.px(4);
    context.stroke();
  }
}
