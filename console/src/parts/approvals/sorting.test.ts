// The inbox of approvals: order, groups, steps.

import { describe, expect, it } from 'vitest';
import type { ApprovalInfo } from '../../lib/types';
import { alike, inOrder, step } from './sorting';

const one = (id: string, at: string, more: Partial<ApprovalInfo> = {}): ApprovalInfo => ({
  id, session_id: 'ses_1', run_id: 'run_1', call_id: 'eff_1', tool: 'pay', arguments: {}, digest: 'd',
  status: 'pending', requested_at: at, expires_at: '2030', ...more,
});

describe('the inbox', () => {
  it('shows the oldest first, and what was decided meanwhile where it stood', () => {
    const settled = one('b', '2', { status: 'granted' });
    expect(inOrder([one('c', '3'), one('a', '1')], [settled]).map((each) => each.id)).toEqual(['a', 'b', 'c']);
  });

  it('shows what waits once, even if it was thought decided', () => {
    expect(inOrder([one('a', '1')], [one('a', '1', { status: 'denied' })])).toEqual([one('a', '1')]);
  });

  it('puts calls of one tool in one session together, at the last of them', () => {
    const shown = [one('a', '1'), one('b', '2', { tool: 'mail' }), one('c', '3'), one('d', '4', { session_id: 'ses_2' })];
    expect(alike(shown)).toEqual(new Map([['c', { sessionId: 'ses_1', tool: 'pay', ids: ['a', 'c'] }]]));
  });

  it('leaves decided ones out of a group', () => {
    expect(alike([one('a', '1'), one('b', '2', { status: 'granted' })])).toEqual(new Map());
  });

  it('steps over what was decided and stays at the ends', () => {
    const shown = [one('a', '1'), one('b', '2', { status: 'granted' }), one('c', '3')];
    expect(step(shown, null, 1)).toBe('a');
    expect(step(shown, 'a', 1)).toBe('c');
    expect(step(shown, 'c', 1)).toBe('c');
    expect(step(shown, 'a', -1)).toBe('a');
    expect(step(shown, 'b', 1)).toBe('c');
    expect(step(shown, 'b', -1)).toBe('a');
    expect(step([], null, 1)).toBeNull();
  });
});
