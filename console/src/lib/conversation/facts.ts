// Reads the data of events, and makes of them what a fold keeps. Unknown or misshapen data becomes empty, never an error.

import type { Content, Envelope } from '../types';
import type { Author, LiveRun, View, WaitingMessage } from './items';

/** What the host says of a session as of one number, for a fold that began in the middle. */
export interface Anchor {
  asOf: number;
  state: {
    title?: string | null;
    labels?: Record<string, string>;
    waiting?: WaitingMessage[];
    run?: LiveRun | null;
    queueHeld?: boolean;
    closed?: boolean;
    usage?: View['usage'];
  };
}

/** A message that was admitted before the part of the journal that is known. */
export interface Known {
  content: Content;
  author: Author | null;
}

export type Data = Record<string, unknown>;

export const str = (value: unknown): string => (typeof value === 'string' ? value : '');
export const orNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
export const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
export const record = (value: unknown): Data => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Data) : {});
export const num = (value: unknown): number => (typeof value === 'number' ? value : 0);

export function line(event: Envelope, key: string) {
  return { key, seq: event.seq, at: event.at, runId: event.run_id, undone: false, superseded: false };
}

export function begun(id: string, status: LiveRun['status'], event: Envelope | null, deadlineAt: string | null): LiveRun {
  return {
    id, status, attempt: 1, startedAt: event?.at ?? null, startedSeq: event?.seq ?? null, deadlineAt, stop: null,
  };
}
