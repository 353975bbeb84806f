/** From clicks to saved objects, with a decoder and a server that are made up. */

import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Backend } from "../src/api/backend";
import { cocoJson } from "../src/api/coco";
import { applyChanges, type Ledger, newLedger, stateOf } from "../src/api/ledger";
import { Outbox } from "../src/api/outbox";
import { MemoryStore } from "../src/api/store";
import type { ImageRecord } from "../src/api/types";
import { DecoderClient, Replaced, type WorkerLike } from "../src/decoder/client";
import type { ObjectPrompt } from "../src/decoder/prompt";
import type { Message, Reply } from "../src/decoder/protocol";
import { area } from "../src/mask/runs";
import { type Answer, Decoding } from "../src/state/decoding";
import { Drawing } from "../src/state/drawing";
import { Outline, outlineOf } from "../src/state/outline";
import { Workspace } from "../src/state/workspace";
import { draw, show } from "./masks";

const IMAGE: ImageRecord = {
  id: 1,
  name: "a.jpg",
  width: 4,
  height: 3,
  status: "new",
  objects: 0,
  version: 0,
  locked_by: null,
  problem: null,
};
const SMALL = ["....", ".#..", "...."];
const MIDDLE = ["....", ".##.", ".##."];
const LARGE = ["####", "####", "####"];

/** Three masks for a click, the middle one best; one for anything more. */
class FakeDecoding {
  prompts: ObjectPrompt[] = [];

  answer = (_: ImageRecord, prompt: ObjectPrompt): Promise<Answer> => {
    this.prompts.push(prompt);
    const isClick = prompt.points.length === 1 && !prompt.box && !prompt.logits;
    const masks = isClick ? [SMALL, MIDDLE, LARGE] : [LARGE];
    return Promise.resolve({
      scores: isClick ? [0.5, 0.9, 0.7] : [0.8],
      best: isClick ? 1 : 0,
      picture: null,
      complete: (i) =>
        Promise.resolve({
          outline: new Outline(draw(masks[i]!)),
          logits: Float32Array.of(masks.length, i),
          picture: null,
        }),
    });
  };

  cancelPreview = (): void => undefined;
  answerPreview = vi.fn(() => Promise.resolve(null));
}

let ledger: Ledger;
let outbox: Outbox;
let workspace: Workspace;
let decoding: FakeDecoding;
let drawing: Drawing;
let said: string[];

const settled = (): Promise<unknown> => vi.waitFor(() => expect(outbox.state.value.status).toBe("saved"));
const saved = (): string[][] => ledger.objects.map((object) => show(outlineOf(object.segmentation).runs));

async function click(x: number, y: number, label: 0 | 1 = 1): Promise<void> {
  drawing.addPoint({ x, y, label });
  await workspace.draft.value!.busy;
}

beforeEach(async () => {
  ledger = newLedger(1);
  said = [];
  outbox = new Outbox(new MemoryStore(), {
    send: async (_, __, changes) => {
      ledger = applyChanges(ledger, changes, "");
      return stateOf(ledger);
    },
    newId: () => "never",
    onSaved: (_, state, merged) => workspace.took(state, merged, null),
    onRefused: () => undefined,
    onSignedOut: () => undefined,
  });
  await outbox.start("test");
  workspace = new Workspace(IMAGE, [], {} as Backend, outbox, 0);
  decoding = new FakeDecoding();
  drawing = new Drawing(decoding as unknown as Decoding, {
    workspace: () => workspace,
    label: () => "cat",
    colourOf: () => "#ffffff",
    maskSize: () => 8,
    say: (message) => said.push(message),
  });
});

describe("clicks", () => {
  it("give the best mask, then the others by score, and are saved when finished", async () => {
    await click(1, 1);
    const draft = workspace.draft.value!;
    expect(show(draft.outline!.runs)).toEqual(MIDDLE);
    drawing.alternative(1);
    expect(show(draft.outline!.runs)).toEqual(LARGE);
    expect(said.at(-1)).toBe("Mask 2 of 3, score 0.70");
    drawing.alternative(1);
    expect(show(draft.outline!.runs)).toEqual(SMALL);
    drawing.alternative(1);
    drawing.alternative(-1);
    await drawing.finish();
    await settled();
    expect(saved()).toEqual([SMALL]);
    expect(ledger.objects[0]).toMatchObject({ label: "cat", score: 0.5, source: "model", order: 0 });
    expect(workspace.draft.value).toBeNull();
  });

  it("after the first show the decoder all clicks and the mask that was chosen", async () => {
    await click(1, 1);
    drawing.alternative(1);
    await click(2, 2, 0);
    expect(decoding.prompts[1]!.points).toEqual([
      { x: 1, y: 1, label: 1 },
      { x: 2, y: 2, label: 0 },
    ]);
    expect([...decoding.prompts[1]!.logits!]).toEqual([3, 2]);
    drawing.setBox([0, 0, 4, 3]);
    await workspace.draft.value!.busy;
    expect(decoding.prompts[2]).toMatchObject({ box: [0, 0, 4, 3], points: { length: 2 } });
    expect([...decoding.prompts[2]!.logits!]).toEqual([1, 0]);
  });

  it("are asked for while the button is still down", async () => {
    drawing.press({ x: 1, y: 1, label: 1 });
    await click(1, 1);
    expect(decoding.answerPreview).toHaveBeenLastCalledWith(IMAGE, decoding.prompts[0], "#ffffff");
    drawing.press({ x: 2, y: 2, label: 0 });
    await click(2, 2, 0);
    const calls = decoding.answerPreview.mock.calls as unknown as [ImageRecord, ObjectPrompt][];
    expect(calls[1]![1]).toEqual(decoding.prompts[1]);
    expect(calls[1]![1].logits).toBe(decoding.prompts[1]!.logits);
    drawing.replace(draw(SMALL), "polygon", { kind: "polygon" });
    await workspace.draft.value!.busy;
    drawing.press({ x: 3, y: 2, label: 1 });
    expect(calls).toHaveLength(2);
  });

  it("in haste are answered one after the other", async () => {
    drawing.addPoint({ x: 1, y: 1, label: 1 });
    drawing.addPoint({ x: 2, y: 2, label: 1 });
    expect(workspace.draft.value!.asked.value).toHaveLength(2);
    await drawing.finish();
    expect(decoding.prompts.map((prompt) => prompt.points.length)).toEqual([1, 2]);
    expect(decoding.prompts[1]!.logits).not.toBeNull();
  });

  it("can be taken back and done again before and after finishing", async () => {
    await click(1, 1);
    await click(2, 2);
    workspace.undo();
    expect(show(workspace.draft.value!.outline!.runs)).toEqual(MIDDLE);
    workspace.redo();
    expect(show(workspace.draft.value!.outline!.runs)).toEqual(LARGE);
    await drawing.finish();
    workspace.undo();
    expect(workspace.objects.value).toEqual([]);
    workspace.redo();
    expect(workspace.objects.value).toHaveLength(1);
    await settled();
    expect(ledger.log.map((entry) => entry.kind)).toEqual(["put", "undo", "redo"]);
  });

  it("that fail leave nothing behind", async () => {
    decoding.answer = () => Promise.reject(new Error("no luck"));
    await click(1, 1);
    expect(workspace.draft.value).toBeNull();
    expect(said).toEqual(["no luck"]);
  });
});

describe("work by hand", () => {
  it("adds to and takes from the selected object, which keeps its id and label", async () => {
    workspace.put(workspace.newObject(new Outline(draw(MIDDLE)), "dog", 0.9, "model", "the id"));
    workspace.selected.value = "the id";
    drawing.paint(draw(["#...", "....", "...."]), false, "brush", { kind: "brush" });
    drawing.paint(draw(["....", "....", ".##."]), true, "brush", { kind: "erase" });
    await drawing.finish();
    await settled();
    expect(saved()).toEqual([["#...", ".##.", "...."]]);
    expect(ledger.objects[0]).toMatchObject({ id: "the id", label: "dog", source: "brush", score: null });
  });

  it("is what the next click sees", async () => {
    drawing.paint(draw(LARGE), false, "brush", { kind: "brush" });
    await click(1, 1);
    const { logits, points } = decoding.prompts[0]!;
    expect(points).toHaveLength(1);
    expect(logits!.slice(0, 4)).toEqual(Float32Array.of(20, 20, 20, 20));
    expect(logits!.at(-1)).toBe(-20);
  });

  it("that erases all removes the object", async () => {
    workspace.put(workspace.newObject(new Outline(draw(MIDDLE)), null, null, "model", "the id"));
    workspace.selected.value = "the id";
    drawing.paint(draw(LARGE), true, "brush", { kind: "erase" });
    await drawing.finish();
    expect(workspace.objects.value).toEqual([]);
    workspace.undo();
    expect(workspace.objects.value).toHaveLength(1);
  });

  it("keeps parts and holes", async () => {
    const ring = ["###.", "#.#.", "###."];
    drawing.replace(draw(ring), "polygon", { kind: "polygon" });
    await drawing.finish();
    await settled();
    expect(saved()).toEqual([ring]);
  });
});

describe("objects", () => {
  it("change places as one action", () => {
    for (const id of ["a", "b", "c"]) workspace.put(workspace.newObject(new Outline(draw(SMALL)), null, null, "model", id));
    const order = (): string[] => workspace.objects.value.map((object) => object.id);
    workspace.move("c", -1);
    expect(order()).toEqual(["a", "c", "b"]);
    workspace.move("a", -1);
    workspace.undo();
    expect(order()).toEqual(["a", "b", "c"]);
  });

  it("are found at a place, the smallest first, and not when hidden", () => {
    workspace.put(workspace.newObject(new Outline(draw(SMALL)), null, null, "model", "small"));
    workspace.put(workspace.newObject(new Outline(draw(LARGE)), null, null, "model", "large"));
    expect(workspace.objectAt(1.5, 1.5)?.id).toBe("small");
    workspace.toggleHidden("small");
    expect(workspace.objectAt(1.5, 1.5)?.id).toBe("large");
  });

  it("cannot be changed while somebody else has the image", async () => {
    workspace.lock.value = { by: "bob", until: "" };
    drawing.addPoint({ x: 1, y: 1, label: 1 });
    workspace.put(workspace.newObject(new Outline(draw(SMALL)), null, null, "model"));
    expect(workspace.draft.value).toBeNull();
    expect(outbox.state.value.unsaved).toBe(0);
  });

  it("are written as COCO has them", () => {
    const object = workspace.newObject(new Outline(draw(MIDDLE)), "l", null, "model", "o");
    const labels = [{ id: "l", name: "cat", colour: "#ffffff", key: null }];
    const found = cocoJson([{ image: IMAGE, objects: [object] }], labels) as { annotations: object[]; categories: object[] };
    expect(found.annotations).toEqual([
      { id: 1, image_id: 1, category_id: 1, segmentation: object.segmentation, area: area(draw(MIDDLE)), bbox: [1, 1, 2, 2], iscrowd: 0 },
    ]);
    expect(found.categories).toEqual([{ id: 1, name: "cat" }]);
  });
});

describe("the decoder's queue", () => {
  class FakeWorker implements WorkerLike {
    sent: Message[] = [];
    onmessage: ((event: MessageEvent<Reply>) => void) | null = null;
    onerror: ((event: ErrorEvent) => void) | null = null;
    postMessage(message: Message): void {
      this.sent.push(message);
    }
    terminate(): void {}
    reply(): void {
      this.onmessage?.({ data: { id: this.sent.at(-1)!.id, value: null } } as MessageEvent<Reply>);
    }
    get places(): (number | undefined)[] {
      return this.sent.map(({ ask }) => (ask.kind === "answer" ? ask.prompt.points[0]?.x : undefined));
    }
  }
  const at = (x: number): ObjectPrompt => ({ points: [{ x, y: 0, label: 1 }], box: null, logits: null });

  it("works on the latest preview alone, and on clicks before it", async () => {
    const worker = new FakeWorker();
    const client = new DecoderClient(worker);
    const lost: number[] = [];
    const preview = (x: number): void =>
      void client.answerPreview("1", at(x), "#000000").catch((error) => error instanceof Replaced && lost.push(x));
    preview(1);
    preview(2);
    preview(3);
    void client.answer("1", at(9), "#000000");
    worker.reply();
    worker.reply();
    worker.reply();
    await Promise.resolve();
    expect(worker.places).toEqual([1, 9, 3]);
    await vi.waitFor(() => expect(lost).toEqual([2]));
  });

  it("lets a preview that turns out to be a click go first, and forgets one that is not wanted", async () => {
    const worker = new FakeWorker();
    const client = new DecoderClient(worker);
    void client.answer("1", at(1), "#000000");
    void client.answer("1", at(2), "#000000");
    void client.answerPreview("1", at(3), "#000000");
    client.promotePreview();
    worker.reply();
    worker.reply();
    expect(worker.places).toEqual([1, 3, 2]);
    const dropped = client.answerPreview("1", at(4), "#000000");
    client.cancelPreview();
    await expect(dropped).rejects.toBeInstanceOf(Replaced);
  });

  it("tells everybody who waits when the worker dies", async () => {
    const worker = new FakeWorker();
    const client = new DecoderClient(worker);
    const waiting = [client.answer("1", at(1), "#000000"), client.answer("1", at(2), "#000000")];
    worker.onerror?.({ message: "out of memory" } as ErrorEvent);
    for (const each of waiting) await expect(each).rejects.toThrow("out of memory");
  });
});
