/** What can be undone, and unsaved changes on top of the server's state. */

import { describe, expect, it } from "vitest";
import { mergeStale } from "../src/api/merge";
import type { Change, MaskObject, PastChange } from "../src/api/types";
import { History } from "../src/state/history";
import { type Pending, replay } from "../src/state/replay";

function object(id: string, counts = "a", label: string | null = null, order = 0): MaskObject {
  return { id, label, segmentation: { size: [2, 2], counts }, score: null, source: "model", order };
}

function put(change: string, after: MaskObject): Pending {
  return { imageId: 1, change: { id: change, kind: "put", object: after }, effect: { objectId: after.id, object: after } };
}

function remove(change: string, id: string): Pending {
  return { imageId: 1, change: { id: change, kind: "remove", object_id: id }, effect: { objectId: id, object: null } };
}

function past(id: string, kind: Change["kind"], undone = false, person = "ann", of: string | null = null): PastChange {
  return { id, kind, of, person, at: "", duration_ms: null, object_id: `object of ${id}`, undone };
}

describe("replay", () => {
  it("lays changes over the server's objects, in their order", () => {
    const now = replay([object("a", "1", null, 5), object("b")], [put("1", object("c", "x", null, 2)), remove("2", "b")]);
    expect(now.map((each) => each.id)).toEqual(["c", "a"]);
  });

  it("leaves alone what only the server can undo", () => {
    const undo: Pending = { imageId: 1, change: { id: "u", kind: "undo", of: "1" }, effect: null };
    expect(replay([object("a")], [undo])).toEqual([object("a")]);
  });
});

describe("history", () => {
  const entry = (id: string, group = id) => ({ id, objectId: "o", before: null, after: object("o"), group });

  it("goes back and forth without end", () => {
    const history = new History();
    for (let i = 0; i < 500; i++) history.push([entry(String(i))]);
    for (let i = 499; i >= 0; i--) expect(history.undo().map((each) => each.id)).toEqual([String(i)]);
    expect(history.canUndo).toBe(false);
    expect(history.undo()).toEqual([]);
    for (let i = 0; i < 500; i++) expect(history.redo().map((each) => each.id)).toEqual([String(i)]);
    expect(history.canRedo).toBe(false);
  });

  it("takes one action of many changes at once, the last first", () => {
    const history = new History();
    history.push([entry("1")]);
    history.push([entry("2", "g"), entry("3", "g")]);
    expect(history.undo().map((each) => each.id)).toEqual(["3", "2"]);
    expect(history.redo().map((each) => each.id)).toEqual(["2", "3"]);
  });

  it("forgets what was undone when something new is done", () => {
    const history = new History();
    history.push([entry("1")]);
    history.undo();
    history.push([entry("2")]);
    expect(history.canRedo).toBe(false);
    expect(history.undo().map((each) => each.id)).toEqual(["2"]);
    expect(history.canUndo).toBe(false);
  });

  it("goes on after a reload, with one's own changes alone", () => {
    const history = History.of(
      [
        past("1", "put"),
        past("2", "put", true),
        past("3", "undo", false, "ann", "2"),
        past("4", "put"),
        past("5", "put", false, "bob"),
        past("6", "remove"),
        past("7", "put", true),
        past("8", "undo", false, "ann", "7"),
        past("9", "status"),
      ],
      "ann",
    );
    expect(history.redo().map((each) => each.id)).toEqual(["7"]);
    expect(history.canRedo).toBe(false);
    expect([1, 2, 3, 4].map(() => history.undo()[0]?.id)).toEqual(["7", "6", "4", "1"]);
    expect(history.canUndo).toBe(false);
  });
});

describe("merging with what somebody else saved", () => {
  const ids = () => {
    let n = 0;
    return () => `new ${++n}`;
  };

  it("keeps changes to objects that only we touched", () => {
    const pending = [put("1", object("a", "ours")), put("2", object("c")), remove("3", "b")];
    const server = [object("a"), object("b"), object("theirs")];
    expect(mergeStale([object("a"), object("b")], server, pending, ids())).toEqual(pending);
  });

  it("saves our side of an object that both changed as a new one", () => {
    const merged = mergeStale([object("a")], [object("a", "theirs")], [put("1", object("a", "ours"))], ids());
    expect(merged.map((item) => item.change)).toEqual([{ id: "1", kind: "put", object: object("new 1", "ours") }]);
    expect(replay([object("a", "theirs")], merged).map((each) => each.segmentation.counts)).toEqual(["theirs", "ours"]);
  });

  it("saves our side of an object that they removed as a new one", () => {
    const merged = mergeStale([object("a")], [], [put("1", object("a", "ours"))], ids());
    expect(replay([], merged)).toEqual([object("new 1", "ours")]);
  });

  it("drops our removal of what they changed", () => {
    expect(mergeStale([object("a")], [object("a", "theirs")], [remove("1", "a")], ids())).toEqual([]);
  });

  it("follows an object through several changes under its new id", () => {
    const undo: Pending = {
      imageId: 1,
      change: { id: "3", kind: "undo", of: "2" },
      effect: { objectId: "a", object: object("a", "first") },
    };
    const pending = [put("1", object("a", "first")), put("2", object("a", "second")), undo, remove("4", "a")];
    const merged = mergeStale([object("a")], [object("a", "theirs")], pending, ids());
    expect(merged.map((item) => [item.change.id, item.change.kind, item.effect?.objectId])).toEqual([
      ["1", "put", "new 1"],
      ["2", "put", "new 1"],
      ["3", "put", "new 1"],
      ["4", "remove", "new 1"],
    ]);
    expect(replay([object("a", "theirs")], merged)).toEqual([object("a", "theirs")]);
  });

  it("knows its own change again when only the answer to it was lost", () => {
    const pending = [put("1", object("a", "first")), put("2", object("a", "second"))];
    expect(mergeStale([object("a")], [object("a", "first")], pending, ids())).toEqual(pending);
    const created = [put("1", object("n", "mine"))];
    expect(mergeStale([], [object("n", "mine")], created, ids())).toEqual(created);
  });

  it("keeps what was pointed at and how long it took", () => {
    const mine = put("1", object("a", "ours"));
    mine.change.prompts = [{ kind: "brush" }];
    mine.change.duration_ms = 7;
    const merged = mergeStale([object("a")], [object("a", "theirs")], [mine], ids());
    expect(merged[0]!.change).toMatchObject({ prompts: [{ kind: "brush" }], duration_ms: 7 });
  });
});
