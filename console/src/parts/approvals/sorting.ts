// The inbox of approvals in its order, and which questions are alike. Pure.

import type { ApprovalInfo } from '../../lib/types';

/** Questions of the same session for the same tool that wait at the same time. */
export interface Alike {
  sessionId: string;
  tool: string;
  ids: string[];
}

export const key = (one: Pick<ApprovalInfo, 'session_id' | 'tool'>): string => `${one.session_id} ${one.tool}`;

/**
 * What to show: what waits, and what was decided while it was on the screen, each where it stood. Oldest first,
 * so that nothing moves away under somebody's hand; what is new comes at the end.
 */
export function inOrder(pending: ApprovalInfo[], settled: ApprovalInfo[]): ApprovalInfo[] {
  const waits = new Set(pending.map((one) => one.id));
  return [...pending, ...settled.filter((one) => !waits.has(one.id))].sort(
    (a, b) => a.requested_at.localeCompare(b.requested_at) || a.id.localeCompare(b.id),
  );
}

/** The groups of at least two, by the id of their last question. */
export function alike(shown: ApprovalInfo[]): Map<string, Alike> {
  const groups = new Map<string, Alike>();
  for (const one of shown) {
    if (one.status !== 'pending') continue;
    const group = groups.get(key(one)) ?? { sessionId: one.session_id, tool: one.tool, ids: [] };
    group.ids.push(one.id);
    groups.set(key(one), group);
  }
  const found = [...groups.values()].filter((group) => group.ids.length > 1);
  return new Map(found.map((group) => [group.ids.at(-1) ?? '', group]));
}

/** The place `by` steps away from the one that is chosen, among those that still wait. */
export function step(shown: ApprovalInfo[], chosen: string | null, by: 1 | -1): string | null {
  const waits = shown.filter((one) => one.status === 'pending');
  if (!waits.length) return null;
  const at = waits.findIndex((one) => one.id === chosen);
  if (at >= 0) return waits[Math.min(waits.length - 1, Math.max(0, at + by))]?.id ?? null;
  const from = shown.findIndex((one) => one.id === chosen);
  const next = by === 1 ? shown.slice(from + 1).find((one) => one.status === 'pending') : shown.slice(0, Math.max(0, from)).findLast((one) => one.status === 'pending');
  return (next ?? (by === 1 ? waits[0] : waits.at(-1)))?.id ?? null;
}
