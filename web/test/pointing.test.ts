/** Fixations, gestures, keys, zoom and tiles. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { COMMANDS, commandFor, hint, type KeyLike, keyName, labelKey } from "../src/state/keymap";
import { FixationFinder } from "../src/tools/fixation";
import { type GestureHandler, Gestures, type PointerLike } from "../src/view/gestures";
import { levelFor, visibleTiles } from "../src/view/tiles";
import { fit, panBy, toImage, toScreen, zoomAt } from "../src/view/viewport";
import { dice } from "./masks";

describe("fixations", () => {
  const settings = { radius: 20, duration: 400 };

  it("begin when the gaze has stayed together long enough", () => {
    const finder = new FixationFinder();
    const found = Array.from({ length: 30 }, (_, i) => finder.add({ time: i * 20, x: 100 + (i % 3), y: 50 }, settings));
    expect(found.findIndex(Boolean)).toBe(20);
    expect(found[29]).toMatchObject({ start: 0 });
    expect(found[29]!.x).toBeCloseTo(101, 0);
  });

  it("are not in a movement", () => {
    const finder = new FixationFinder();
    for (let i = 0; i < 100; i++) expect(finder.add({ time: i * 20, x: i * 8, y: i * 8 }, settings)).toBeNull();
  });

  it("end with a jump, and the next one has its own start", () => {
    const finder = new FixationFinder();
    for (let i = 0; i < 30; i++) finder.add({ time: i * 20, x: 0, y: 0 }, settings);
    expect(finder.add({ time: 600, x: 300, y: 0 }, settings)).toBeNull();
    let last = null;
    for (let i = 31; i < 60; i++) last = finder.add({ time: i * 20, x: 300, y: 0 }, settings);
    expect(last).toMatchObject({ start: 600, x: 300 });
  });

  it("follow a slow drift, as of a tracker, and stand noise", () => {
    const finder = new FixationFinder();
    const next = dice(4);
    let last = null;
    for (let i = 0; i < 200; i++) {
      const found = finder.add({ time: i * 20, x: i * 0.3 + 6 * next(), y: 6 * next() }, settings);
      if (i > 20) expect(found).not.toBeNull();
      last = found;
    }
    expect(last!.start).toBe(0);
    expect(last!.x).toBeGreaterThan(45);
  });

  it("know how long the samples have stayed together", () => {
    const finder = new FixationFinder();
    expect(finder.since).toBeNull();
    finder.add({ time: 5, x: 0, y: 0 }, settings);
    finder.add({ time: 25, x: 1, y: 0 }, settings);
    expect(finder.since).toBe(5);
    finder.reset();
    expect(finder.since).toBeNull();
  });
});

describe("keys", () => {
  const press = (key: string, more: Partial<KeyLike> = {}): KeyLike => ({
    key,
    ctrlKey: false,
    metaKey: false,
    shiftKey: false,
    altKey: false,
    ...more,
  });

  it("each mean one thing", () => {
    const keys = COMMANDS.flatMap((command) => command.keys);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.some((key) => /^[0-9]$/.test(key))).toBe(false);
  });

  it("are named alike on all systems and layouts", () => {
    expect(keyName(press("z", { metaKey: true }))).toBe("Ctrl+Z");
    expect(keyName(press("Z", { ctrlKey: true, shiftKey: true }))).toBe("Ctrl+Shift+Z");
    expect(keyName(press("?", { shiftKey: true }))).toBe("?");
    expect(keyName(press("[", { altKey: true }))).toBe("[");
    expect(keyName(press(" ", { shiftKey: true }))).toBe("Shift+Space");
    expect(keyName(press("ArrowUp", { altKey: true }))).toBe("Alt+ArrowUp");
  });

  it("find their commands", () => {
    expect(commandFor(press("b"))).toBe("tool-brush");
    expect(commandFor(press("y", { ctrlKey: true }))).toBe("redo");
    expect(commandFor(press("Z", { metaKey: true, shiftKey: true }))).toBe("redo");
    expect(commandFor(press("b", { ctrlKey: true }))).toBeNull();
    expect(hint("undo")).toBe("Ctrl+Z");
  });

  it("of labels are digits alone", () => {
    expect(labelKey(press("3"))).toBe("3");
    expect(labelKey(press("3", { ctrlKey: true }))).toBeNull();
    expect(labelKey(press("a"))).toBeNull();
  });
});

describe("gestures", () => {
  let told: unknown[][];
  let gestures: Gestures;

  beforeEach(() => {
    vi.useFakeTimers();
    told = [];
    const handler = new Proxy({} as GestureHandler, {
      get: (_, name) => (at: unknown, ...more: unknown[]) => {
        const place = at && typeof at === "object" ? at as { x: number; y: number; button: number } : null;
        told.push([name, ...(place ? [place.x, place.y, place.button] : at === undefined ? [] : [at, ...more])]);
      },
    });
    gestures = new Gestures(handler, () => ({ left: 10, top: 20 }));
  });

  afterEach(() => vi.useRealTimers());

  const event = (x: number, y: number, more: Partial<PointerLike> = {}): PointerLike => ({
    pointerId: 1,
    pointerType: "mouse",
    button: 0,
    clientX: x + 10,
    clientY: y + 20,
    shiftKey: false,
    altKey: false,
    ctrlKey: false,
    metaKey: false,
    timeStamp: 0,
    ...more,
  });
  const finger = (id: number, x: number, y: number): PointerLike => event(x, y, { pointerId: id, pointerType: "touch" });

  it("tell a click with the button that was pressed", () => {
    gestures.pointerMove(event(1, 1, { button: -1 }));
    gestures.pointerDown(event(1, 1, { button: 2 }));
    gestures.pointerMove(event(2, 1, { button: -1 }));
    gestures.pointerUp(event(2, 1, { button: 2 }));
    expect(told).toEqual([["hover", 1, 1, -1], ["press", 1, 1, 2], ["drag", 2, 1, 2], ["release", 2, 1, 2]]);
  });

  it("pan with the middle button, and with the space bar", () => {
    gestures.pointerDown(event(0, 0, { button: 1 }));
    gestures.pointerMove(event(5, 6));
    gestures.pointerUp(event(5, 6));
    gestures.isPanKeyDown = true;
    gestures.pointerDown(event(0, 0));
    gestures.pointerMove(event(1, 0));
    gestures.pointerUp(event(1, 0));
    expect(told).toEqual([["pan", 5, 6], ["pan", 1, 0]]);
    expect(gestures.hasPanned).toBe(true);
  });

  it("take a long press of a finger for a minus, and nothing after it", () => {
    gestures.pointerDown(finger(1, 30, 30));
    vi.advanceTimersByTime(500);
    gestures.pointerMove(finger(1, 90, 30));
    gestures.pointerUp(finger(1, 90, 30));
    expect(told.map(([name]) => name)).toEqual(["press", "longPress"]);
  });

  it("take no long press of a finger that moved, or of a mouse", () => {
    gestures.pointerDown(finger(1, 30, 30));
    gestures.pointerMove(finger(1, 60, 30));
    vi.advanceTimersByTime(600);
    gestures.pointerUp(finger(1, 60, 30));
    gestures.pointerDown(event(0, 0));
    vi.advanceTimersByTime(600);
    gestures.pointerUp(event(0, 0));
    expect(told.map(([name]) => name)).toEqual(["press", "drag", "release", "press", "release"]);
  });

  it("pinch with two fingers, and draw nothing with the one that stays", () => {
    gestures.pointerDown(finger(1, 0, 0));
    gestures.pointerDown(finger(2, 100, 0));
    gestures.pointerMove(finger(2, 200, 0));
    gestures.pointerUp(finger(2, 200, 0));
    gestures.pointerMove(finger(1, 50, 50));
    gestures.pointerUp(finger(1, 50, 50));
    expect(told).toEqual([["press", 0, 0, 0], ["cancel"], ["pan", 50, 0], ["zoom", 2, 100, 0]]);
  });

  it("zoom with the wheel about the pointer, and turn to alternatives with Alt", () => {
    const wheel = { deltaX: 0, deltaY: -300, deltaMode: 0, altKey: false, shiftKey: false, clientX: 60, clientY: 70 };
    gestures.wheel(wheel);
    gestures.wheel({ ...wheel, altKey: true, deltaY: 30 });
    gestures.wheel({ ...wheel, altKey: true, deltaY: 30 });
    gestures.wheel({ ...wheel, shiftKey: true, deltaY: 30 });
    expect(told[0]).toEqual(["zoom", Math.exp(0.8), 50, 50]);
    expect(told.slice(1)).toEqual([["turn", 1], ["pan", -30, 0]]);
  });
});

describe("the view", () => {
  const image = { width: 8000, height: 6000 };
  const stage = { width: 1000, height: 800 };

  it("goes there and back", () => {
    const view = { scale: 1.7, left: -30, top: 12 };
    const { x, y } = toImage(view, 100, 200);
    expect(toScreen(view, x, y)).toEqual({ x: 100, y: 200 });
  });

  it("keeps what is under the pointer where it is", () => {
    const view = fit(image, stage);
    const before = toImage(view, 400, 300);
    const after = toImage(zoomAt(view, image, stage, 3, 400, 300), 400, 300);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it("has limits, and never loses the image", () => {
    expect(zoomAt(fit(image, stage), image, stage, 1e9, 0, 0).scale).toBe(64);
    expect(zoomAt(fit(image, stage), image, stage, 1e-9, 0, 0).scale).toBeCloseTo(fit(image, stage).scale / 2);
    const far = panBy(fit(image, stage), image, stage, 1e6, -1e6);
    expect(far.left).toBeLessThan(stage.width);
    expect(far.top + image.height * far.scale).toBeGreaterThan(0);
  });

  it("takes tiles of the level that is not enlarged", () => {
    expect([1, 0.51, 0.5, 0.26, 0.1, 3].map((scale) => levelFor(scale, image))).toEqual([0, 0, 1, 1, 3, 0]);
    expect(levelFor(0.0001, image)).toBe(4);
  });

  it("takes no more tiles than it shows, the middle first", () => {
    const tiles = visibleTiles({ scale: 1, left: -1000, top: -1000 }, stage, image, 0);
    expect(tiles).toHaveLength(9);
    expect(tiles[0]).toEqual({ level: 0, x: 2, y: 2 });
    expect(visibleTiles(fit(image, stage), stage, image, 3)).toHaveLength(4);
    expect(visibleTiles({ scale: 1, left: 5000, top: 0 }, stage, image, 0)).toEqual([]);
  });
});
