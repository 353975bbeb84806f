/** The outbox: nothing is lost, nothing is saved twice. */

import "fake-indexeddb/auto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, OfflineError } from "../src/api/http";
import { applyChanges, type Ledger, newLedger, pastOf, stateOf } from "../src/api/ledger";
import { Outbox, type OutboxHooks } from "../src/api/outbox";
import { BrowserStore, type ChangeStore, type Kept, MemoryStore } from "../src/api/store";
import type { Change, ImageState, MaskObject } from "../src/api/types";
import type { Pending } from "../src/state/replay";

function object(id: string, counts = "a"): MaskObject {
  return { id, label: null, segmentation: { size: [2, 2], counts }, score: null, source: "model", order: 0 };
}

function put(id: string, after: MaskObject): Omit<Pending, "imageId"> {
  return { change: { id, kind: "put", object: after }, effect: { objectId: after.id, object: after } };
}

/** A server that behaves, until it is told not to. */
class FakeServer {
  ledger: Ledger = newLedger(1);
  failures: (Error | "lost answer")[] = [];
  requests: string[][] = [];

  send = (_: number, version: number, changes: Change[]): Promise<ImageState> => {
    this.requests.push(changes.map((change) => change.id));
    const failure = this.failures.shift();
    if (failure && failure !== "lost answer") return Promise.reject(failure);
    const isNew = changes.some((change) => !this.ledger.log.some((entry) => entry.id === change.id));
    if (isNew && version !== this.ledger.version) {
      return Promise.reject(new ApiError(409, "stale", "stale", { ...stateOf(this.ledger) }));
    }
    this.ledger = applyChanges(this.ledger, changes, "");
    return failure ? Promise.reject(new OfflineError()) : Promise.resolve(stateOf(this.ledger));
  };

  get ids(): string[] {
    return this.ledger.objects.map((each) => each.id).sort();
  }
}

/** A store that is settled at once, for fake timers. */
class QuickStore extends MemoryStore {
  kept: Kept = { bases: [], pending: [] };
  override load(): Promise<Kept> {
    return Promise.resolve(this.kept);
  }
}

let server: FakeServer;
let hooks: OutboxHooks;
let outbox: Outbox;
let newIds = 0;

async function begin(store: ChangeStore = new QuickStore()): Promise<void> {
  outbox = new Outbox(store, hooks);
  await outbox.start("scope");
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  vi.spyOn(console, "error").mockReturnValue(undefined);
  newIds = 0;
  server = new FakeServer();
  hooks = {
    send: server.send,
    newId: () => `new ${++newIds}`,
    onSaved: vi.fn(),
    onRefused: vi.fn(),
    onSignedOut: vi.fn(),
  };
  await begin();
  outbox.setBase(1, "a.jpg", 0, []);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const idle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

describe("saving", () => {
  it("sends a change at once and says so", async () => {
    outbox.add(1, [put("c1", object("a"))]);
    expect(outbox.state.value).toEqual({ status: "saving", unsaved: 1 });
    await idle();
    expect(outbox.state.value).toEqual({ status: "saved", unsaved: 0 });
    expect(server.ids).toEqual(["a"]);
    expect(hooks.onSaved).toHaveBeenCalledWith(1, expect.objectContaining({ version: 1 }), false);
  });

  it("keeps the order of changes that are made while one is on its way", async () => {
    outbox.add(1, [put("c1", object("a"))]);
    outbox.add(1, [put("c2", object("a", "b"))]);
    outbox.add(1, [put("c3", object("b"))]);
    await idle();
    expect(server.ledger.log.map((entry) => entry.id)).toEqual(["c1", "c2", "c3"]);
    expect(server.ledger.version).toBe(3);
  });
});

describe("a lost connection", () => {
  it("is tried again after ever longer waits, with the same ids", async () => {
    server.failures = [new OfflineError(), new OfflineError(), new OfflineError()];
    outbox.add(1, [put("c1", object("a"))]);
    await idle();
    expect(outbox.state.value).toEqual({ status: "offline", unsaved: 1 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.requests).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.requests).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1000 + 4000);
    expect(server.requests).toEqual([["c1"], ["c1"], ["c1"], ["c1"]]);
    expect(outbox.state.value).toEqual({ status: "saved", unsaved: 0 });
  });

  it("counts what is added meanwhile, and sends all when it is back", async () => {
    server.failures = [new OfflineError()];
    outbox.add(1, [put("c1", object("a"))]);
    await idle();
    outbox.add(1, [put("c2", object("b"))]);
    await idle();
    expect(outbox.state.value).toEqual({ status: "offline", unsaved: 2 });
    expect(server.requests).toHaveLength(1);
    outbox.retry();
    await idle();
    expect(server.ids).toEqual(["a", "b"]);
  });

  it("does not save twice what was saved when the answer was lost", async () => {
    server.failures = ["lost answer"];
    outbox.add(1, [put("c1", object("a"))]);
    await idle();
    outbox.add(1, [put("c2", object("a", "b"))]);
    outbox.retry();
    await idle();
    expect(server.ledger.log.map((entry) => entry.id)).toEqual(["c1", "c2"]);
    expect(server.ledger.objects).toEqual([object("a", "b")]);
    expect(newIds).toBe(0);
  });
});

describe("somebody else", () => {
  it("who saved meanwhile keeps their changes, and we ours", async () => {
    outbox.setBase(1, "a.jpg", 0, []);
    server.ledger = applyChanges(server.ledger, [{ id: "x", kind: "put", object: object("theirs") }], "");
    outbox.add(1, [put("c1", object("ours"))]);
    await idle();
    expect(server.ids).toEqual(["ours", "theirs"]);
    expect(hooks.onSaved).toHaveBeenLastCalledWith(1, expect.objectContaining({ version: 2 }), true);
  });

  it("who changed the same object gets a neighbour", async () => {
    server.ledger = applyChanges(server.ledger, [{ id: "x", kind: "put", object: object("a") }], "");
    outbox.setBase(1, "a.jpg", 1, [object("a")]);
    server.ledger = applyChanges(server.ledger, [{ id: "y", kind: "put", object: object("a", "theirs") }], "");
    outbox.add(1, [put("c1", object("a", "ours"))]);
    await idle();
    expect(server.ledger.objects).toEqual([object("a", "theirs"), object("new 1", "ours")]);
  });

  it("who has the lock is waited for", async () => {
    server.failures = [new ApiError(423, "locked", "bob has it", { by: "bob" })];
    outbox.add(1, [put("c1", object("a"))]);
    await idle();
    expect(outbox.state.value.status).toBe("locked");
    await vi.advanceTimersByTimeAsync(15_000);
    expect(outbox.state.value.status).toBe("saved");
  });
});

describe("a refusal", () => {
  it("of one change is told, and the others are saved", async () => {
    const refuse = hooks.send;
    hooks.send = (id, version, changes) =>
      changes.some((change) => change.id === "bad")
        ? Promise.reject(new ApiError(422, "data", "this mask is empty"))
        : refuse(id, version, changes);
    outbox.add(1, [put("c1", object("a")), put("bad", object("b")), put("c2", object("c"))]);
    await idle();
    expect(hooks.onRefused).toHaveBeenCalledExactlyOnceWith(1, "this mask is empty");
    expect(server.ids).toEqual(["a", "c"]);
    expect(outbox.state.value).toEqual({ status: "saved", unsaved: 0 });
  });

  it("for want of a login waits for it", async () => {
    server.failures = [new ApiError(401, "token", "log in")];
    outbox.add(1, [put("c1", object("a"))]);
    await idle();
    expect(hooks.onSignedOut).toHaveBeenCalledOnce();
    expect(outbox.state.value).toEqual({ status: "signed-out", unsaved: 1 });
    outbox.retry();
    await idle();
    expect(server.ids).toEqual(["a"]);
  });
});

describe("a reload", () => {
  it("finds unsaved changes again, of this person and project alone", async () => {
    vi.useRealTimers();
    hooks.send = () => Promise.reject(new OfflineError());
    const first = new Outbox(new BrowserStore(), hooks);
    await first.start("ann");
    first.setBase(7, "b.jpg", 3, [object("z")]);
    first.add(7, [put("c1", object("a"))]);
    await first.settled();

    const sent: [number, number, string[]][] = [];
    hooks.send = (id, version, changes) => {
      sent.push([id, version, changes.map((change) => change.id)]);
      return Promise.resolve({ version: version + 1, objects: [object("z"), object("a")] });
    };
    const other = new Outbox(new BrowserStore(), hooks);
    await other.start("bob");
    expect(other.state.value.unsaved).toBe(0);
    const saved = new Promise((done) => (hooks.onSaved = done));
    const again = new Outbox(new BrowserStore(), hooks);
    await again.start("ann");
    await saved;
    expect(sent).toEqual([[7, 3, ["c1"]]]);
    await again.settled();
    expect((await new BrowserStore().load("ann")).pending).toEqual([]);
    first.retry();
  });
});

describe("the browser's own ledger", () => {
  it("undoes and redoes as a server does", () => {
    let ledger = applyChanges(newLedger(1), [{ id: "1", kind: "put", object: object("a") }], "");
    ledger = applyChanges(ledger, [{ id: "2", kind: "put", object: object("a", "b") }], "");
    ledger = applyChanges(ledger, [{ id: "3", kind: "undo", of: "2" }], "");
    expect(ledger.objects).toEqual([object("a")]);
    expect(pastOf(ledger).map((each) => each.undone)).toEqual([false, true, false]);
    ledger = applyChanges(ledger, [{ id: "4", kind: "redo", of: "2" }, { id: "4", kind: "redo", of: "2" }], "");
    expect(ledger.objects).toEqual([object("a", "b")]);
    ledger = applyChanges(ledger, [{ id: "5", kind: "remove", object_id: "a" }, { id: "6", kind: "status", status: "done" }], "");
    expect(ledger).toMatchObject({ objects: [], status: "done", version: 6 });
    expect(() => applyChanges(ledger, [{ id: "7", kind: "undo", of: "?" }], "")).toThrow(ApiError);
  });
});
