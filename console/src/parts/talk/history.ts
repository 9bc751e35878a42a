// Undo, redo, fork, compact and the like: what the head of a session and its dialogs ask for, with their words.

import { get, post, remove } from '../../lib/api';
import { notices } from '../../lib/notices.svelte';
import { router } from '../../lib/router.svelte';
import type { OpenSession } from '../../lib/session.svelte';
import type { EventPage } from '../../lib/types';
import type { UndoReceipt } from '../../lib/types/belongings';

/** What the next undo would take off, null if it was refused. */
export async function previewUndo(session: OpenSession): Promise<UndoReceipt | null> {
  try {
    return (await session.undo({ dry_run: true, ...(session.view.run && { interrupt: true }) })) as UndoReceipt;
  } catch (error) {
    notices.refuse(error);
    return null;
  }
}

/** Take the last turn off; what can't be taken back was told before. */
export async function undo(session: OpenSession, interrupt: boolean): Promise<void> {
  await notices.attempt(async () => {
    const done = (await session.undo(interrupt ? { interrupt } : {})) as UndoReceipt;
    const redo = { label: 'Redo', run: () => void notices.attempt(() => session.redo(), 'Put back.') };
    notices.say(done.pending ? 'The run is being stopped; then its turn is taken back.' : 'The last turn was taken back.', done.pending ? undefined : redo);
  });
}

export async function fork(session: OpenSession): Promise<void> {
  await notices.attempt(async () => {
    const child = await session.fork();
    router.go(`/sessions/${child.id}`);
    notices.say('This is the fork. What you do here leaves the first session as it is.');
  });
}

export async function compact(session: OpenSession): Promise<void> {
  await notices.attempt(() => session.compact(), 'A run makes the summary. What it covers stays in the journal.');
}

export const close = (session: OpenSession) =>
  notices.attempt(() => post(`${session.path}/close`), 'Closed. It stays readable, and can be reopened.');

export const reopen = (session: OpenSession) => notices.attempt(() => post(`${session.path}/reopen`), 'Open again.');

/** Delete for good; whether it went. */
export async function destroy(session: OpenSession, cascade: boolean): Promise<boolean> {
  const went = await notices.attempt(() => remove(session.path, cascade ? { cascade } : {}), 'The session was deleted.');
  if (went) router.go('/sessions', { replace: true });
  return went;
}

/** Save the journal as a file: the session, and every event of it. */
export async function exportJournal(session: OpenSession, progress: (share: number) => void): Promise<void> {
  const info = await get<object>(session.path);
  const pieces: string[] = [`{"session":${JSON.stringify(info)},"events":[`];
  let after = 0;
  let head = 1;
  let first = true;
  while (after < head) {
    const page = await get<EventPage>(`${session.path}/events`, { after, limit: 1_000 });
    head = page.head_seq;
    const last = page.data.at(-1)?.seq;
    if (last === undefined) break;
    pieces.push((first ? '' : ',\n') + page.data.map((event) => JSON.stringify(event)).join(',\n'));
    first = false;
    after = last;
    progress(after / head);
  }
  pieces.push(']}\n');
  save(new Blob(pieces, { type: 'application/json' }), `${session.id}.json`);
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
