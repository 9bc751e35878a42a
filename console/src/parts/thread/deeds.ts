// What can be done with a line of the thread.

import { copy } from '../../lib/copy';
import type { Item, MessageLine, View } from '../../lib/conversation/items';
import { notices } from '../../lib/notices.svelte';
import { router } from '../../lib/router.svelte';
import type { OpenSession } from '../../lib/session.svelte';
import { textOf } from '../../lib/types';

export function wordsIn(item: Item): string {
  switch (item.kind) {
    case 'message':
      return textOf(item.content);
    case 'reasoning':
      return item.text;
    case 'call':
      return JSON.stringify({ tool: item.tool, arguments: item.arguments, result: item.result }, null, 2);
    case 'file':
      return item.name;
    default:
      return '';
  }
}

export const copyWords = (item: Item) => notices.attempt(() => copy(wordsIn(item)), 'Copied.');

export function copyLink(session: OpenSession, seq: number): Promise<boolean> {
  const url = new URL(`/sessions/${session.id}#${seq}`, location.href);
  return notices.attempt(() => copy(url.href), `Copied the link to #${seq}.`);
}

/** A session of its own that begins with this one up to a number. */
export function forkAt(session: OpenSession, seq: number): Promise<boolean> {
  return notices.attempt(async () => {
    const child = await session.fork({ at_seq: seq });
    router.go(`/sessions/${child.id}`);
    notices.say('This is the fork. What you do here leaves the first session as it is.');
  });
}

/** Where a fork takes a line along whole: the end of its run, if nothing else is said in it. */
export function forkPoint(item: Item, view: View): number {
  const end = item.runId === null ? undefined : view.ends.get(item.runId);
  const last = view.items.findLast((one) => one.runId === item.runId && one.kind !== 'note' && one.kind !== 'end');
  if (end && last?.key === item.key) return end.seq;
  return item.kind === 'message' ? item.lastSeq : item.seq;
}

/** The message that began the turn of a line: an undo that goes back to it takes the whole turn. */
export function beginning(item: Item, view: View): MessageLine | null {
  const found = view.items.find((one) => one.kind === 'message' && one.role === 'user' && !one.steering && one.runId === item.runId);
  return found?.kind === 'message' ? found : null;
}

/** The run that may be tried again: the last one, if it ended without a result. */
export function retryable(view: View): string | null {
  if (view.run || view.closed) return null;
  const last = view.items.findLast((item) => !item.undone && (item.kind === 'message' || item.kind === 'end'));
  if (last?.kind !== 'end' || last.runId === null) return null;
  return last.retryable || ['failed', 'timed_out', 'lost'].includes(last.status) ? last.runId : null;
}

export const retry = (session: OpenSession, runId: string) => notices.attempt(() => session.retry(runId), 'Tried again with the same message.');
