/** Changes that are not saved yet, laid on top of what the server has. */

import type { Change, MaskObject } from "../api/types";

/** What a change makes of one object; null where it goes. */
export interface Effect {
  objectId: string;
  object: MaskObject | null;
}

/** A change on its way; without `effect` only the server knows what comes of it. */
export interface Pending {
  imageId: number;
  change: Change;
  effect: Effect | null;
}

export function replay(objects: readonly MaskObject[], pending: readonly Pending[]): MaskObject[] {
  const byId = new Map(objects.map((object) => [object.id, object]));
  for (const { effect } of pending) {
    if (!effect) continue;
    if (effect.object) byId.set(effect.objectId, effect.object);
    else byId.delete(effect.objectId);
  }
  return [...byId.values()].sort((a, b) => a.order - b.order);
}
