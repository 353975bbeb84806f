/** What becomes of unsaved changes when somebody else has saved meanwhile: nothing of either is lost. */

import type { Pending } from "../state/replay";
import type { MaskObject } from "./types";

/**
 * Unsaved changes that can be sent on top of the server's objects.
 *
 * An object that both sides changed is saved as a new one beside the server's. A removal of what the other changed is
 * dropped. What the server has of our own, from a request whose answer was lost, is no change of somebody else.
 */
export function mergeStale(
  base: readonly MaskObject[],
  server: readonly MaskObject[],
  pending: readonly Pending[],
  newId: () => string,
): Pending[] {
  const before = new Map(base.map((object) => [object.id, object]));
  const now = new Map(server.map((object) => [object.id, object]));
  const renamed = new Map<string, string>();
  for (const { effect } of pending) {
    const id = effect?.objectId;
    if (id === undefined || renamed.has(id)) continue;
    const known = [before.get(id) ?? null, ...effectsOn(pending, id)];
    if (!known.some((object) => same(object, now.get(id) ?? null))) renamed.set(id, newId());
  }
  const merged: Pending[] = [];
  const exists = new Set<string>();
  for (const item of pending) {
    const id = item.effect && renamed.get(item.effect.objectId);
    if (!item.effect || !id) {
      merged.push(item);
    } else if (item.effect.object) {
      const object = { ...item.effect.object, id };
      const { id: change, prompts, duration_ms } = item.change;
      const kept = { ...(prompts && { prompts }), ...(duration_ms !== undefined && { duration_ms }) };
      merged.push({ ...item, change: { id: change, kind: "put", object, ...kept }, effect: { objectId: id, object } });
      exists.add(id);
    } else if (exists.delete(id)) {
      merged.push({
        ...item,
        change: { id: item.change.id, kind: "remove", object_id: id },
        effect: { objectId: id, object: null },
      });
    }
  }
  return merged;
}

function effectsOn(pending: readonly Pending[], id: string): (MaskObject | null)[] {
  return pending.flatMap(({ effect }) => (effect?.objectId === id ? [effect.object] : []));
}

/** Whether two states of an object show the same; its place in the list and its score may differ. */
function same(a: MaskObject | null, b: MaskObject | null): boolean {
  if (!a || !b) return a === b;
  return a.label === b.label && a.segmentation.counts === b.segmentation.counts;
}
