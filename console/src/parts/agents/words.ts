// What an agent can do and may touch, in words.

import type { ToolTerms } from '../../lib/types';

/** What each capability means to whoever talks to the agent. */
export const CAPABILITIES: Record<string, string> = {
  streaming: 'what it says comes in pieces',
  tools: 'it calls tools of the host',
  approvals: 'people can be asked about its calls',
  steering: 'messages reach it while it runs',
  interrupt: 'it stops when it is asked to',
  resume: 'after an answer it goes on where it was',
  undo: 'turns can be taken back',
  attachments: 'it reads the files of a message',
  multimodal: 'it sees the pictures of a message',
};

/** The rights that a run may have besides its tools. */
export const RIGHTS: Record<string, string> = {
  history: 'reads the transcript of its session',
  recalls: 'schedules runs in its session',
};

export const SCOPES: Record<string, string> = {
  conversation: 'for the conversation', actor: 'for each person', subject: 'for what is talked about', runner: 'for the agent as a whole',
};

const SIGNS: Record<string, string> = { eq: 'is', ne: 'isn’t', gt: '>', ge: '≥', lt: '<', le: '≤', in: 'is one of', not_in: 'is none of', matches: 'matches' };

/** When a person must approve a call of a tool. */
export function approvalOf(terms: ToolTerms): string {
  const { always, when } = (terms.approval ?? {}) as { always?: boolean; when?: Record<string, Record<string, unknown>> };
  if (always) return 'always asks';
  const conditions = Object.entries(when ?? {}).flatMap(([argument, condition]) =>
    Object.entries(condition).map(([sign, value]) => `${argument} ${SIGNS[sign] ?? sign} ${JSON.stringify(value)}`),
  );
  return conditions.length ? `asks if ${conditions.join(' and ')}` : 'never asks';
}

/** What happens to a call whose outcome a crash left unknown. */
export function replayOf(terms: ToolTerms): string {
  const words: Record<string, string> = { safe: 'safe to repeat', verify: 'verified before it is repeated' };
  return words[String(terms.replay ?? 'never')] ?? 'never repeated';
}

/** Where a tool comes from, without the fingerprint of its schema. */
export const sourceOf = (terms: ToolTerms): string => String(terms.source ?? '').split('#', 1)[0] ?? '';
