// What can be said of a message before and after it is sent, in words and bytes. Pure.

import { freshHex } from '../../lib/chance';
import type { Problem } from '../../lib/api';
import type { Content, Part, WhenBusy } from '../../lib/types';

/** Where a message goes while a run is live. */
export type Way = Extract<WhenBusy, 'steer' | 'queue' | 'interrupt' | 'rollback'>;

/** The host takes requests of up to 1 MiB; a little is left for what stands around the text. */
export const MOST_BYTES = 1024 * 1024 - 1024;

export const WAYS: Record<Way, { button: string; choice: string; means: string }> = {
  steer: { button: 'Steer', choice: 'at the next safe point', means: 'The run reads it while it works.' },
  queue: { button: 'Queue', choice: 'after this run', means: 'It waits until this run has ended.' },
  interrupt: { button: 'Stop and send', choice: 'stop and send', means: 'This run is stopped; then yours begins.' },
  rollback: { button: 'Take back and send', choice: 'take back this turn and send', means: 'This run is stopped and its turn taken back; then yours begins.' },
};

/** A fresh id, as the host accepts it from clients. */
export const messageId = (): string => `msg_${freshHex()}`;

/** Plain text if there is nothing else, else parts: the text, then the files. */
export function contentOf(text: string, files: string[]): Content {
  const said = text.trim();
  if (files.length === 0) return said;
  const parts: Part[] = files.map((id) => ({ type: 'file', file_id: id }));
  return said ? [{ type: 'text', text: said }, ...parts] : parts;
}

/** How many bytes a message takes on its way. */
export function sizeOf(content: Content): number {
  // A text of which even the longest form fits needn't be encoded to be measured.
  if (typeof content === 'string' && content.length * 6 < MOST_BYTES) return content.length;
  return new TextEncoder().encode(JSON.stringify(content)).length;
}

/** Why a message that should steer waits instead. */
export function fallbackWords(why: string, agent: string): string {
  switch (why) {
    case 'runner_takes_no_steering':
      return `${agent} doesn’t read messages while it works. Yours will be answered after this run.`;
    case 'run_interrupting':
      return 'The run was stopping already. Your message will be answered after it.';
    case 'authority_does_not_cover_the_run':
      return 'This run may do more than you may, so you can’t steer it. Your message will be answered after it.';
    case 'too_much_steering_pending':
      return 'A hundred messages wait to be read by this run. Yours will be answered after it.';
    default:
      return 'The run couldn’t be steered. Your message will be answered after it.';
  }
}

/** Whether nobody knows if the host has it: sending it again under its id is right, and says it once. */
export function isLostOnTheWay(problem: Problem): boolean {
  return problem.status === 0 || problem.status >= 500;
}
