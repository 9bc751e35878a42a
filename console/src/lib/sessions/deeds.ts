// What can be done to many sessions at once: one after the other, a few at a time, each with its own outcome.

import { get, patch, post, Problem, remove, wordsOf } from '../api';
import type { Envelope, EventPage, SessionInfo } from '../types';
import { nameOf, type SessionRow } from './rows';

export interface Deed {
  name: string;
  /** "Stopping 3 of 12", "12 stopped". */
  doing: string;
  done: string;
  /** Rows that it makes no sense for are left out. */
  fits: (row: SessionRow) => boolean;
  run: (row: SessionRow) => Promise<unknown>;
}

const path = (row: SessionRow) => `/v1/sessions/${row.id}`;

export const STOP: Deed = {
  name: 'Stop', doing: 'Stopping', done: 'stopped',
  fits: (row) => row.status === 'running' || row.status === 'waiting',
  run: (row) => post(`${path(row)}/interrupt`, {}),
};
export const CLOSE: Deed = {
  name: 'Close', doing: 'Closing', done: 'closed',
  fits: (row) => row.status !== 'closed',
  run: (row) => post(`${path(row)}/close`, {}),
};
export const REOPEN: Deed = {
  name: 'Reopen', doing: 'Reopening', done: 'reopened',
  fits: (row) => row.status === 'closed',
  run: (row) => post(`${path(row)}/reopen`, {}),
};
export const DELETE: Deed = {
  name: 'Delete', doing: 'Deleting', done: 'deleted',
  fits: () => true,
  run: (row) => remove(path(row)).catch(unlessGone),
};

/** Somebody else may have deleted it a moment before; it is gone either way. */
function unlessGone(error: unknown): void {
  if (!(error instanceof Problem && error.status === 404)) throw error;
}

/** Put a label on, or take it off where `value` is empty. The others stay. */
export function labelling(name: string, value: string): Deed {
  return {
    name: 'Label', doing: 'Labelling', done: 'labelled',
    fits: () => true,
    run: async (row) => {
      const now = await get<SessionInfo>(path(row));
      const { [name]: _, ...others } = now.labels;
      return patch(path(row), { labels: value ? { ...others, [name]: value } : others });
    },
  };
}

export interface Refusal {
  id: string;
  title: string;
  why: string;
}

export interface Outcome {
  done: number;
  refused: Refusal[];
}

const AT_ONCE = 4;

/** Do it to all, a few at a time. `told` hears how many are through. */
export async function doToAll(rows: readonly SessionRow[], deed: Deed['run'], told: (through: number) => void, signal: AbortSignal): Promise<Outcome> {
  const outcome: Outcome = { done: 0, refused: [] };
  let next = 0;
  let through = 0;
  const worker = async () => {
    for (let row = rows[next++]; row && !signal.aborted; row = rows[next++]) {
      try {
        await deed(row);
        outcome.done += 1;
      } catch (error) {
        outcome.refused.push({ id: row.id, title: nameOf(row), why: wordsOf(error) });
      }
      told((through += 1));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return outcome;
}

/** So many sessions are exported at once, since the browser holds them all until the file is whole. */
export const MOST_EXPORTED = 100;

/** Collects the journals of sessions, for a file. */
export class Export {
  readonly #sessions: { session: SessionInfo; events: Envelope[] }[] = [];

  readonly take = async (row: SessionRow): Promise<void> => {
    const session = await get<SessionInfo>(path(row));
    const events: Envelope[] = [];
    for (let page = await this.#page(row, 0); ; page = await this.#page(row, events.at(-1)?.seq ?? 0)) {
      events.push(...page.data);
      if (page.data.length === 0 || (events.at(-1)?.seq ?? 0) >= session.head_seq) break;
    }
    this.#sessions.push({ session, events });
  };

  /** The file: as JSON, the sessions in the order of `rows`. */
  blob(rows: readonly SessionRow[]): Blob {
    const order = new Map(rows.map((row, at) => [row.id, at]));
    const sessions = [...this.#sessions].sort((a, b) => (order.get(a.session.id) ?? 0) - (order.get(b.session.id) ?? 0));
    return new Blob([JSON.stringify({ format: 'tenure-journals', version: 1, sessions }, null, 1)], { type: 'application/json' });
  }

  #page(row: SessionRow, after: number): Promise<EventPage> {
    return get<EventPage>(`${path(row)}/events`, { after, limit: 1_000 });
  }
}
