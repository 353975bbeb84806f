/** An image's objects with all changes to them: what a server keeps, for where the browser is the server. */

import { ApiError } from "./http";
import type { Change, ImageState, MaskObject, PastChange, Status } from "./types";

interface Entry {
  id: string;
  kind: Change["kind"];
  of: string | null;
  objectId: string | null;
  before: MaskObject | null;
  after: MaskObject | null;
  undone: boolean;
  at: string;
}

export interface Ledger {
  id: number;
  version: number;
  status: Status;
  objects: MaskObject[];
  log: Entry[];
}

export function newLedger(id: number): Ledger {
  return { id, version: 0, status: "new", objects: [], log: [] };
}

/** The ledger with the changes in it; those that it has already count once. */
export function applyChanges(ledger: Ledger, changes: readonly Change[], at: string): Ledger {
  const next: Ledger = { ...ledger, objects: [...ledger.objects], log: ledger.log.map((entry) => ({ ...entry })) };
  for (const change of changes) {
    if (next.log.some((entry) => entry.id === change.id)) continue;
    next.log.push(applyOne(next, change, at));
    next.version++;
  }
  return next;
}

function applyOne(ledger: Ledger, change: Change, at: string): Entry {
  const entry: Entry = {
    id: change.id,
    kind: change.kind,
    of: change.of ?? null,
    objectId: null,
    before: null,
    after: null,
    undone: false,
    at,
  };
  if (change.kind === "status") {
    ledger.status = change.status ?? ledger.status;
    return entry;
  }
  if (change.kind === "undo" || change.kind === "redo") {
    const target = ledger.log.find((past) => past.id === change.of);
    if (!target?.objectId) throw new ApiError(400, "no_change", "There is no such change to undo.");
    target.undone = change.kind === "undo";
    place(ledger, target.objectId, target.undone ? target.before : target.after);
    return entry;
  }
  entry.objectId = change.object?.id ?? change.object_id ?? null;
  entry.before = ledger.objects.find((object) => object.id === entry.objectId) ?? null;
  entry.after = change.object ?? null;
  if (entry.objectId) place(ledger, entry.objectId, entry.after);
  if (ledger.status === "new") ledger.status = "started";
  return entry;
}

function place(ledger: Ledger, id: string, object: MaskObject | null): void {
  ledger.objects = ledger.objects.filter((other) => other.id !== id);
  if (object) ledger.objects.push(object);
  ledger.objects.sort((a, b) => a.order - b.order);
}

export function stateOf(ledger: Ledger): ImageState {
  return { version: ledger.version, objects: ledger.objects };
}

export function pastOf(ledger: Ledger): PastChange[] {
  return ledger.log.map(({ id, kind, of, objectId, undone, at }) => ({
    id,
    kind,
    of,
    person: null,
    at,
    duration_ms: null,
    object_id: objectId,
    undone,
  }));
}
