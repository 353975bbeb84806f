/** Unsaved changes in the browser's own database, so that a reload loses none. */

import type { Pending } from "../state/replay";
import type { MaskObject } from "./types";

/** What the server had when the first of an image's unsaved changes was made. */
export interface Base {
  imageId: number;
  name: string;
  version: number;
  objects: MaskObject[];
}

export interface Kept {
  bases: Base[];
  pending: Pending[];
}

/** `scope` keeps apart projects and persons that share an origin. */
export interface ChangeStore {
  load(scope: string): Promise<Kept>;
  save(scope: string, base: Base, pending: Pending[]): Promise<void>;
}

const DATABASE = "anymask-unsaved";
const STORE = "images";

interface Row {
  scope: string;
  imageId: number;
  base: Base;
  pending: Pending[];
}

export class BrowserStore implements ChangeStore {
  private database: Promise<IDBDatabase> | null = null;

  async load(scope: string): Promise<Kept> {
    const database = await this.open();
    const range = IDBKeyRange.bound([scope], [scope, []]);
    const rows = (await settle(database.transaction(STORE).objectStore(STORE).getAll(range))) as Row[];
    return { bases: rows.map((row) => row.base), pending: rows.flatMap((row) => row.pending) };
  }

  async save(scope: string, base: Base, pending: Pending[]): Promise<void> {
    const database = await this.open();
    const store = database.transaction(STORE, "readwrite", { durability: "strict" }).objectStore(STORE);
    const row: Row = { scope, imageId: base.imageId, base, pending };
    await (pending.length ? settle(store.put(row)) : settle(store.delete([scope, base.imageId])));
  }

  private open(): Promise<IDBDatabase> {
    this.database ??= new Promise((done, fail) => {
      const opening = indexedDB.open(DATABASE, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: ["scope", "imageId"] });
      opening.onsuccess = () => done(opening.result);
      opening.onerror = () => fail(opening.error ?? new Error("the browser's database does not open"));
    });
    return this.database;
  }
}

export function settle<T>(asked: IDBRequest<T>): Promise<T> {
  return new Promise((done, fail) => {
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => fail(asked.error ?? new Error("the browser's database failed"));
  });
}

/** Where the browser allows no database, as in some private windows: kept as long as the page is open. */
export class MemoryStore implements ChangeStore {
  load(): Promise<Kept> {
    return Promise.resolve({ bases: [], pending: [] });
  }

  save(): Promise<void> {
    return Promise.resolve();
  }
}
