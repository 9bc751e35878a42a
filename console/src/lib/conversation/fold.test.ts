// The fold over a real journal: brief or whole, at once or in pieces, it is the same conversation.

import { describe, expect, it } from 'vitest';
import type { Envelope } from '../types';
import type { Anchor } from './facts';
import { Fold } from './fold';
import type { CallLine, EndLine, Item, MessageLine } from './items';
import brief from './fixtures/brief.json';
import full from './fixtures/full.json';

const whole = full as unknown as Envelope[];
const short = brief as unknown as Envelope[];

/** When reasoning began isn't in a brief journal. */
const settled = (items: Item[]) => items.map((item) => (item.kind === 'reasoning' ? { ...item, seq: 0, at: '' } : item));
const messages = (fold: Fold) => fold.items.filter((item): item is MessageLine => item.kind === 'message');
const said = (fold: Fold) => messages(fold).map((item) => `${item.role}: ${String(item.content)}`);

let number = 0;
function event(type: string, data: Record<string, unknown>, run_id: string | null = null): Envelope {
  number += 1;
  return { seq: number, at: `2026-11-22T03:00:${String(number % 60).padStart(2, '0')}Z`, type, run_id, data };
}
function journal(...entries: [string, Record<string, unknown>, (string | null)?][]): Envelope[] {
  number = 0;
  return entries.map(([type, data, run]) => event(type, data, run ?? null));
}
const admitted = (id: string, content: string, more: Record<string, unknown> = {}): [string, Record<string, unknown>] => [
  'message.admitted', { message_id: id, actor: { user: 'ana', role: 'member' }, content, disposition: 'queued', ...more },
];
const started = (run: string, id: string): [string, Record<string, unknown>, string] => [
  'run.started', { runner: 'r', attempt: 1, trigger: { kind: 'message', id }, deadline_at: null }, run,
];

describe('a journal that a host wrote', () => {
  it('gives the same conversation brief and whole', () => {
    const a = Fold.of(whole).view();
    const b = Fold.of(short).view();
    expect(settled(b.items)).toEqual(settled(a.items));
    expect({ ...b, items: [], ends: [...b.ends] }).toEqual({ ...a, items: [], ends: [...a.ends] });
  });

  it('gives the same conversation however it is cut into batches', () => {
    const once = Fold.of(whole).view();
    for (let cut = 1; cut < whole.length; cut += 7) {
      const fold = Fold.of(whole.slice(0, cut));
      for (const one of whole.slice(Math.max(0, cut - 5))) fold.add(one);
      expect(fold.view()).toEqual(once);
    }
  });

  it('ends with nothing open, nothing waiting, and every message once', () => {
    const view = Fold.of(whole).view();
    expect(view.run).toBeNull();
    expect(view.waiting).toEqual([]);
    expect(view.items.filter((item) => 'streaming' in item && item.streaming)).toEqual([]);
    const keys = view.items.map((item) => item.key);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('shows at every number what was there by then, and never takes a line away', () => {
    let before = 0;
    const fold = new Fold();
    for (const one of whole) {
      fold.add(one);
      expect(fold.items.length).toBeGreaterThanOrEqual(before);
      before = fold.items.length;
    }
  });

  it('shows steering where it took effect, and the recall with its schedule', () => {
    const fold = Fold.of(whole);
    const steering = messages(fold).find((item) => item.steering);
    expect(steering?.content).toBe('look here');
    expect(messages(fold).filter((item) => item.recall).map((item) => item.scheduleId?.slice(0, 4))).toEqual(['sch_']);
  });

  it('shows the decision beside its call, with what was approved instead', () => {
    const call = Fold.of(whole).items.find((item): item is CallLine => item.kind === 'call');
    expect(call).toMatchObject({ tool: 'confirm', status: 'ok', arguments: { text: 'once' } });
    expect(call?.question).toMatchObject({ decision: 'granted', by: 'admin', note: 'so be it', edited: { text: 'twice' } });
  });

  it('folds away the turn that was undone, and no other', () => {
    const undone = Fold.of(whole).items.filter((item) => item.undone);
    expect(undone.filter((item) => item.kind === 'message').map((item) => String((item as MessageLine).content).slice(0, 3))).toEqual(['SET', 'set']);
  });

  it('says who stopped a run', () => {
    const ends = Fold.of(whole).items.filter((item): item is EndLine => item.kind === 'end');
    expect(ends.filter((item) => item.status === 'cancelled').map((item) => item.stop?.by)).toEqual(['admin']);
  });

  it('begun in the middle, has the same lines from there on', () => {
    const all = Fold.of(whole);
    const from = 100;
    const part = Fold.of(whole.filter((one) => one.seq >= from));
    const expected = all.items.filter((item) => item.seq >= from + 5).map((item) => item.key);
    expect(part.items.filter((item) => item.seq >= from + 5).map((item) => item.key)).toEqual(expected);
  });
});

describe('a command that waited', () => {
  it('waits no longer once its run has begun, and stands nowhere in the thread', () => {
    const fold = Fold.of(journal(
      admitted('c1', ''),
      ['run.started', { runner: 'r', attempt: 1, trigger: { kind: 'command', id: 'c1' }, deadline_at: null }, 'run1'],
    ));
    expect(fold.view().waiting).toEqual([]);
    expect(messages(fold)).toEqual([]);
  });
});

describe('what the host says as of a number', () => {
  const waiting = { messageId: 'm9', content: 'later', author: null, seq: 2, at: '', steers: null, forSlot: false };
  const anchor = (asOf: number): Anchor => ({ asOf, state: { usage: { input: 10, output: 5, cost: null }, waiting: [waiting], title: 'T' } });

  it('counts once what was spent before it and after it', () => {
    const events = journal(
      ['usage.recorded', { input_tokens: 4, output_tokens: 2 }], ['usage.recorded', { input_tokens: 6, output_tokens: 3 }],
      ['usage.recorded', { input_tokens: 1, output_tokens: 1 }],
    );
    expect(Fold.of(events, [anchor(2)]).view().usage).toEqual({ input: 11, output: 6, cost: null });
  });

  it('waits until its number is reached', () => {
    const fold = Fold.of(journal(['session.updated', { by: 'ana', title: 'Old' }]), [anchor(3)]);
    expect(fold.title).toBe('Old');
    fold.reached(3);
    expect(fold.view()).toMatchObject({ title: 'T', waiting: [waiting] });
  });

  it('gives a run the words of a message that was admitted before', () => {
    const fold = Fold.of([], [anchor(5)]);
    fold.reached(5);
    fold.add({ ...event('run.started', { trigger: { kind: 'message', id: 'm9' } }, 'r9'), seq: 6 });
    expect(said(fold)).toEqual(['user: later']);
    expect(fold.view().waiting).toEqual([]);
  });

  it('asks for the words of a message that nothing tells', () => {
    const fold = Fold.of(journal(started('r1', 'm1')));
    expect([...fold.missing]).toEqual(['m1']);
    const known = Fold.of(journal(started('r1', 'm1')), [], new Map([['m1', { content: 'hi', author: null }]]));
    expect(said(known)).toEqual(['user: hi']);
  });
});

describe('the queue', () => {
  it('keeps its order through promotions, withdrawals and merges', () => {
    const fold = Fold.of(journal(
      admitted('m1', 'one'), admitted('m2', 'two'), admitted('m3', 'three'), admitted('m4', 'more', { disposition: 'merged', into: 'm3' }),
      ['message.promoted', { message_id: 'm3', as: 'next' }], ['message.withdrawn', { message_id: 'm1', by: 'ana' }],
      ['message.updated', { message_id: 'm2', content: 'zwei', by: 'ana' }],
    ));
    expect(fold.waiting.map((one) => one.content)).toEqual(['three\nmore', 'zwei']);
  });

  it('takes back steering that its run didn’t read, to the front and in order', () => {
    const fold = Fold.of(journal(
      admitted('m0', 'go', { disposition: 'started', run_id: 'r1' }), started('r1', 'm0'), admitted('m1', 'queued'),
      admitted('m2', 'a', { disposition: 'steered', run_id: 'r1' }), admitted('m3', 'b', { disposition: 'steered', run_id: 'r1' }),
      ['message.promoted', { message_id: 'm2', as: 'run', run_id: null }], ['message.promoted', { message_id: 'm3', as: 'run', run_id: null }],
      ['run.finished', { status: 'completed', reason: '' }, 'r1'],
    ));
    expect(fold.waiting.map((one) => [one.content, one.steers])).toEqual([['a', null], ['b', null], ['queued', null]]);
  });
});

describe('attempts', () => {
  it('folds what a lost attempt said, and keeps steering and the decision', () => {
    const call = { call_id: 'c1', tool: 'pay', arguments: { n: 1 } };
    const fold = Fold.of(journal(
      admitted('m0', 'go', { disposition: 'started', run_id: 'r1' }), started('r1', 'm0'),
      ['message.delta', { message_id: 'a1', text: 'half' }, 'r1'], ['tool.call.started', call, 'r1'],
      ['approval.requested', { ...call, approval_id: 'p1', digest: 'd', expires_at: '' }, 'r1'],
      ['approval.resolved', { approval_id: 'p1', decision: 'granted', by: 'ana', note: null }, 'r1'],
      ['run.retried', { attempt: 2, reason: 'host_lost' }, 'r1'], ['tool.call.started', call, 'r1'],
      ['tool.call.completed', { call_id: 'c1', status: 'ok', result: 1, replayed: true }, 'r1'],
      ['run.finished', { status: 'completed', reason: '' }, 'r1'],
    ));
    const calls = fold.items.filter((item): item is CallLine => item.kind === 'call');
    expect(calls.map((one) => [one.superseded, one.status, one.question?.decision])).toEqual([[true, 'running', 'granted'], [false, 'ok', 'granted']]);
    expect(messages(fold).map((one) => [one.content, one.superseded, one.streaming])).toEqual([['go', false, false], ['half', true, false]]);
  });

  it('keeps a message in its place when its run is tried again, and undoes both tries', () => {
    const fold = Fold.of(journal(
      admitted('m0', 'go', { disposition: 'started', run_id: 'r1' }), started('r1', 'm0'),
      ['run.finished', { status: 'failed', reason: 'x' }, 'r1'], started('r2', 'm0'),
      ['run.finished', { status: 'failed', reason: 'x' }, 'r2'], ['transcript.undone', { run_ids: ['r2'], message_ids: ['m0'], kept: [] }],
    ));
    expect(fold.items.map((item) => [item.kind, item.undone])).toEqual([
      ['message', true], ['end', true], ['note', true], ['end', true], ['note', false],
    ]);
  });

  it('tells the outcome of a call as unknown when its run ended under it', () => {
    const fold = Fold.of(journal(
      started('r1', 'm0'), ['tool.call.started', { call_id: 'c1', tool: 'pay', arguments: {} }, 'r1'],
      ['run.finished', { status: 'lost', reason: 'host_lost' }, 'r1'],
    ));
    expect(fold.items.find((item) => item.kind === 'call')).toMatchObject({ status: 'unknown' });
  });
});

it('a fork has what was said, and nothing that was open', () => {
  const fold = Fold.of(journal(
    ['session.created', { agent: 'a', owner: 'ana', title: null, labels: {}, parent: null }],
    admitted('m0', 'go', { disposition: 'started', run_id: 'r1' }), started('r1', 'm0'),
    ['message.delta', { message_id: 'a1', text: 'half' }, 'r1'], admitted('m1', 'waits'),
    ['session.created', { agent: 'a', owner: 'bob', title: 'Fork', labels: {}, parent: { session_id: 'ses_1', seq: 5 } }],
  ));
  expect(fold.view()).toMatchObject({ run: null, waiting: [], title: 'Fork' });
  expect(messages(fold).map((one) => [one.content, one.partial])).toEqual([['go', false], ['half', true]]);
});
