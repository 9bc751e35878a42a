// A question to a person as the thread and the inbox of approvals show it.

import type { ApprovalInfo } from '../types';
import type { CallLine, Question } from './items';

export interface Asked extends Question {
  tool: string;
}

/** The question of a call, if there is one. */
export function askedBy(call: CallLine): Asked | null {
  return call.question && { ...call.question, tool: call.tool };
}

/** The question that an approval of the host's lists is. */
export function askedOf(info: ApprovalInfo): Asked {
  return {
    id: info.id, tool: info.tool, arguments: info.arguments, digest: info.digest, requestedAt: info.requested_at,
    expiresAt: info.expires_at, seq: 0, reason: info.reason ?? null, done: info.done ?? [], own: info.own ?? false,
    decision: info.status === 'pending' ? null : (info.decision ?? info.status), by: info.by ?? null,
    note: info.note ?? null, remember: info.remember ?? null, edited: null, resolvedAt: info.resolved_at ?? null,
  };
}

/** How each decision is told. The host lists a decision as `approve` or `deny`, a journal as what came of it. */
export const DECIDED: Record<string, string> = {
  granted: 'Approved', approve: 'Approved', approved: 'Approved', denied: 'Denied', deny: 'Denied',
  expired: 'Expired', withdrawn: 'Withdrawn',
};

/** What was typed as arguments: an object, or why it isn’t one. */
export function parsed(text: string): { value: Record<string, unknown> } | { fault: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { fault: `This isn’t JSON yet: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { fault: 'The arguments are an object: { "name": value }.' };
  return { value: value as Record<string, unknown> };
}

export type Field = { name: string; kind: 'text' | 'number' | 'flag'; value: string | number | boolean };

/** One field for each argument, if all of them are texts, numbers or flags. */
export function fieldsOf(given: Record<string, unknown>): Field[] | null {
  const fields: Field[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string') fields.push({ name, kind: 'text', value });
    else if (typeof value === 'number') fields.push({ name, kind: 'number', value });
    else if (typeof value === 'boolean') fields.push({ name, kind: 'flag', value });
    else return null;
  }
  return fields.length ? fields : null;
}
