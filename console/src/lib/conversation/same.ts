// Lines that were folded anew and came out as they were: the old values are kept, so that nothing of them is
// drawn again. Used where a journal is read backwards, since every part read folds everything anew.

import type { Item } from './items';

/** Put the values that are known already in the place of equal ones. */
export function keepKnown(items: Item[], known: readonly Item[]): void {
  const before = new Map(known.map((item) => [item.key, item]));
  items.forEach((item, at) => {
    const old = before.get(item.key);
    if (old && isSame(old, item, 3)) items[at] = old;
  });
}

/** Whether two values are equal as far down as lines are made here. Deeper parts come from the events themselves. */
function isSame(one: unknown, other: unknown, depth: number): boolean {
  if (Object.is(one, other)) return true;
  if (depth === 0 || !isRecord(one) || !isRecord(other)) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => isSame(one[name], other[name], depth - 1));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
