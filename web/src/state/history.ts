/** What can be undone and redone on an image, built of its changes; without end, and across reloads. */

import type { PastChange, MaskObject } from "../api/types";

/** A change to one object. `before` and `after` are undefined where only the server knows them. */
export interface Entry {
  id: string;
  objectId: string;
  before: MaskObject | null | undefined;
  after: MaskObject | null | undefined;
  /** entries of one action of the person share it */
  group: string;
  undone: boolean;
}

export class History {
  private entries: Entry[] = [];

  /** The person's own changes of earlier visits, oldest first. What was undone and then written over is gone. */
  static of(changes: readonly PastChange[], person: string | null): History {
    const history = new History();
    const own = changes.filter((c) => (c.kind === "put" || c.kind === "remove") && (c.person ?? null) === person);
    const lastDone = own.findLastIndex((change) => !change.undone);
    history.entries = own
      .filter((change, i) => !change.undone || i > lastDone)
      .map((change) => ({
        id: change.id,
        objectId: change.object_id ?? "",
        before: undefined,
        after: undefined,
        group: change.id,
        undone: change.undone,
      }));
    return history;
  }

  push(entries: readonly Omit<Entry, "undone">[]): void {
    this.entries = this.entries.filter((entry) => !entry.undone);
    this.entries.push(...entries.map((entry) => ({ ...entry, undone: false })));
  }

  get canUndo(): boolean {
    return this.entries.some((entry) => !entry.undone);
  }

  get canRedo(): boolean {
    return this.entries.some((entry) => entry.undone);
  }

  /** Mark the last action undone; its entries, last first. */
  undo(): Entry[] {
    const last = this.entries.findLast((entry) => !entry.undone);
    if (!last) return [];
    const chosen = this.entries.filter((entry) => entry.group === last.group && !entry.undone).reverse();
    for (const entry of chosen) entry.undone = true;
    return chosen;
  }

  /** Mark the first undone action done again; its entries, first first. */
  redo(): Entry[] {
    const first = this.entries.find((entry) => entry.undone);
    if (!first) return [];
    const chosen = this.entries.filter((entry) => entry.group === first.group && entry.undone);
    for (const entry of chosen) entry.undone = false;
    return chosen;
  }
}
