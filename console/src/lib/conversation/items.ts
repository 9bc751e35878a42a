// What a conversation is made of once its journal is folded: the lines of the thread, the queue, the live run.
// Values are never changed in place, so a line is drawn again only when it is another value.

import type { Content, Role } from '../types';

export interface Author {
  user: string;
  role?: Role | string;
  /** What an outside platform calls them. */
  name?: string | null;
}

interface Line {
  /** Stays the same for the life of the line. */
  key: string;
  /** The event that put it where it stands. */
  seq: number;
  at: string;
  runId: string | null;
  /** Its turn was taken back. */
  undone: boolean;
  /** A later attempt of its run said it anew. */
  superseded: boolean;
}

export interface MessageLine extends Line {
  kind: 'message';
  messageId: string;
  role: 'user' | 'assistant';
  content: Content;
  author: Author | null;
  /** Still being said. */
  streaming: boolean;
  /** Was cut off. */
  partial: boolean;
  /** Was taken up by a run that was live already. */
  steering: boolean;
  /** Made by a schedule. */
  recall: boolean;
  /** That schedule, where it is known. */
  scheduleId: string | null;
  /** It was admitted in a part of the journal that isn't known, so its words aren't either. */
  missing: boolean;
  /** The last event that belongs to it. */
  lastSeq: number;
}

export interface ReasoningLine extends Line {
  kind: 'reasoning';
  messageId: string;
  text: string;
  streaming: boolean;
  partial: boolean;
  endedAt: string | null;
}

export type CallStatus = 'running' | 'ok' | 'error' | 'denied' | 'unknown';

export interface Question {
  id: string;
  arguments: Record<string, unknown>;
  digest: string;
  requestedAt: string;
  expiresAt: string;
  seq: number;
  reason: string | null;
  /** Calls that were made before, where that is why a person is asked. */
  done: string[];
  own: boolean;
  /** null while it waits. */
  decision: string | null;
  by: string | null;
  note: string | null;
  remember: string | null;
  /** What was approved instead of what was asked for. */
  edited: Record<string, unknown> | null;
  resolvedAt: string | null;
}

export interface CallLine extends Line {
  kind: 'call';
  callId: string;
  tool: string;
  arguments: Record<string, unknown>;
  status: CallStatus;
  result: unknown;
  replayed: boolean;
  endedAt: string | null;
  question: Question | null;
}

export interface FileLine extends Line {
  kind: 'file';
  fileId: string;
  name: string;
  mediaType: string;
  size: number;
  by: string | null;
  deleted: boolean;
}

/** A thin line: something happened that nobody said. `type` is that of its event. */
export interface NoteLine extends Line {
  kind: 'note';
  type: string;
  data: Record<string, unknown>;
}

/** A run ended otherwise than completed. */
export interface EndLine extends Line {
  kind: 'end';
  status: string;
  reason: string;
  retryable: boolean;
  /** Who asked it to stop, if somebody did. */
  stop: LiveRun['stop'];
  /** When the run began, where that is known. */
  startedAt: string | null;
}

export type Item = MessageLine | ReasoningLine | CallLine | FileLine | NoteLine | EndLine;

/** A message that waits: in the queue, for a slot, or to steer the live run. */
export interface WaitingMessage {
  messageId: string;
  content: Content;
  author: Author | null;
  seq: number;
  at: string;
  /** The run that it is to steer. */
  steers: string | null;
  /** It starts as soon as a slot is free. */
  forSlot: boolean;
}

export interface LiveRun {
  id: string;
  status: 'queued' | 'running' | 'waiting' | 'interrupting';
  attempt: number;
  startedAt: string | null;
  startedSeq: number | null;
  deadlineAt: string | null;
  /** Who asked it to stop, and whether by force. */
  stop: { by: string; at: string; force: boolean; reason: string } | null;
}

/** Everything that a screen shows of a session at one number of its journal. */
export interface View {
  head: number;
  items: Item[];
  waiting: WaitingMessage[];
  run: LiveRun | null;
  queueHeld: boolean;
  title: string | null;
  labels: Record<string, string>;
  closed: boolean;
  deleted: boolean;
  usage: { input: number; output: number; cost: number | null };
  /** What an undo took off last, and a redo would put back. */
  undone: string[][];
  /** The runs that are known to have ended. Grows in place. */
  ends: ReadonlyMap<string, RunEnd>;
}

/** How a run ended, and the number of the event that says so. */
export interface RunEnd {
  seq: number;
  status: string;
}
