// Rows and marks of a thread: what is folded away, what leads, what is found at a number.

import { describe, expect, it } from 'vitest';
import type { Envelope } from '../types';
import { Fold } from './fold';
import full from './fixtures/full.json';
import { markAt, marksOf, neighbour } from './marks';
import { lastSeqOf, rowAt, rowsOf } from './rows';
import { endWords, noteWords, stateWords } from './words';

const view = Fold.of(full as unknown as Envelope[]).view();
const rows = rowsOf(view.items);

describe('rows', () => {
  it('fold an undone turn into one, with all its lines', () => {
    const undone = rows.filter((row) => row.kind === 'undone');
    expect(undone.map((row) => row.kind === 'undone' && [row.turns, row.items.length])).toEqual([[1, 4]]);
  });

  it('keep the order of the journal, and every line in one of them', () => {
    const seqs = rows.map((row) => row.seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(rows.flatMap((row) => (row.kind === 'line' ? [row.item] : row.items)).length).toBe(view.items.length);
  });

  it('name a speaker once', () => {
    const turns = rows.filter((row) => row.kind === 'line' && row.leads && row.item.kind === 'reasoning');
    expect(turns.length).toBe(2);
    const spoken = rows.flatMap((row) => (row.kind === 'line' && row.item.kind === 'message' ? [[row.item.role, row.leads]] : []));
    expect(spoken.filter(([role]) => role === 'user').every(([, leads]) => leads)).toBe(true);
    const steered = rows.findIndex((row) => row.kind === 'line' && row.item.kind === 'message' && row.item.steering);
    expect(steered).toBeGreaterThan(0);
  });

  it('are found by any number they show', () => {
    rows.forEach((row, at) => {
      expect(rowAt(rows, row.seq)).toBeGreaterThanOrEqual(at);
      expect(lastSeqOf(row)).toBeGreaterThanOrEqual(row.seq);
    });
    expect(rowAt(rows, 0)).toBe(-1);
    expect(rowAt(rows, 1_000_000)).toBe(rows.length - 1);
  });
});

describe('marks', () => {
  const marks = marksOf(view.items);

  it('stand in order, one for each thing that stands out', () => {
    expect(marks.map((mark) => mark.seq)).toEqual(marks.map((mark) => mark.seq).toSorted((a, b) => a - b));
    expect(new Set(marks.map((mark) => mark.kind))).toEqual(new Set(['noted', 'said', 'answered', 'failed', 'undone', 'called', 'decided', 'stopped', 'recalled']));
  });

  it('lead from one to the next and back', () => {
    const third = marks[2];
    if (!third) throw new Error('too few');
    const next = neighbour(marks, third.seq, 1);
    expect(next && neighbour(marks, next.seq, -1)?.seq).toBe(third.seq);
    expect(neighbour(marks, 1_000_000, 1)).toBeNull();
    expect(markAt(marks, third.seq)?.seq).toBe(third.seq);
    expect(markAt(marks, 0)).toBeNull();
  });
});

describe('words', () => {
  const at = { key: 'n', seq: 1, at: '', runId: 'r', undone: false, superseded: false };
  const note = (type: string, data: Record<string, unknown>) => noteWords({ ...at, kind: 'note', type, data }, 'ana').text;

  it('name people, and what acts by itself', () => {
    expect(note('session.closed', { by: 'ana', reason: '' })).toBe('You closed this session');
    expect(note('session.closed', { by: 'bob', reason: 'done here' })).toBe('bob closed this session: done here');
    expect(note('run.retried', { attempt: 2, reason: 'host_lost' })).toBe('Attempt 1 was cut off: its host was lost. Attempt 2 starts over');
    expect(note('some.future.event', {})).toBe('some.future.event');
  });

  it('say how a run ended', () => {
    const end = { ...at, kind: 'end' as const, reason: 'interrupted', status: 'cancelled', retryable: false, startedAt: null };
    expect(endWords({ ...end, stop: { by: 'bob', at: '', force: true, reason: '' } }, 'ana', '14:02')).toBe('Stopped by bob at 14:02, by force');
    expect(endWords({ ...end, stop: null, status: 'failed', reason: 'runner_ended' }, 'ana', '14:02')).toBe('Failed at 14:02: the agent ended without saying how it went');
  });

  it('count changes of state in one line', () => {
    const change = (data: Record<string, unknown>) => ({ ...at, kind: 'note' as const, type: 'state.updated', data });
    expect(stateWords([change({ scope: 'conversation', key: 'k', value: 1 }), change({ scope: 'actor', key: 'l', deleted: true })])).toEqual({
      text: 'State: set 1 key, removed 1 key', more: 'conversation k = 1\nactor l removed',
    });
  });
});
