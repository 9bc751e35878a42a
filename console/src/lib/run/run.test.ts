import { describe, expect, it } from 'vitest';
import type { Envelope } from '../types';
import { actorOf, Belonging, gistOf, placeOf } from './journal';
import { changesBetween, linesOf } from './json';
import { lanesOf, offset, ticksOf, type Lane } from './lanes';
import { callsOf, money, sumsOf } from './spending';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => new Date(T0 + seconds * 1_000).toISOString();
let seq = 0;
const event = (seconds: number, type: string, data: Record<string, unknown> = {}, run_id: string | null = 'run_1'): Envelope => ({ seq: ++seq, at: at(seconds), type, run_id, data });
const bars = (lane: Lane | undefined) => lane?.bars.map(({ kind, from, to, state, row }) => [kind, (from - T0) / 1_000, to === null ? null : (to - T0) / 1_000, state, row]);

describe('lanes', () => {
  const run = { queued_at: at(0), started_at: at(1), finished_at: at(20), status: 'completed' };
  const events = [
    event(1, 'run.started', { attempt: 1 }),
    event(2, 'message.delta', { message_id: 'm1', text: 'Let me' }),
    event(3, 'message.completed', { message_id: 'm1', content: 'Let me see' }),
    event(3, 'tool.call.started', { call_id: 'c1', tool: 'weather', arguments: { day: 'today' } }),
    event(4, 'tool.call.started', { call_id: 'c2', tool: 'weather', arguments: {} }),
    event(5, 'tool.call.completed', { call_id: 'c1', status: 'ok' }),
    event(6, 'tool.call.completed', { call_id: 'c2', status: 'error' }),
    event(7, 'approval.requested', { approval_id: 'a1', tool: 'book' }),
    event(7, 'run.waiting', { approval_ids: ['a1'] }),
    event(10, 'approval.resolved', { approval_id: 'a1', decision: 'granted', by: 'ana' }),
    event(11, 'run.resumed', { attempt: 2, mode: 'held' }),
    event(12, 'steering.consumed', { message_ids: ['m2'] }),
    event(20, 'run.finished', { status: 'completed', reason: '' }),
  ];

  it('shows waiting, running, speech, calls and questions where they were', () => {
    const { lanes, from, to } = lanesOf(run, events);
    expect([from, to]).toEqual([T0, T0 + 20_000]);
    expect(lanes.map((lane) => [lane.label, lane.rows])).toEqual([['Run', 1], ['Says', 1], ['Asks people', 1], ['weather', 2], ['Marks', 1]]);
    expect(bars(lanes[0])).toEqual([
      ['queue', 0, 1, 'done', 0], ['running', 1, 7, 'done', 0], ['waiting', 7, 11, 'done', 0], ['running', 11, 20, 'completed', 0],
    ]);
    expect(bars(lanes[1])).toEqual([['speech', 2, 3, 'ok', 0]]);
    expect(bars(lanes[2])).toEqual([['question', 7, 10, 'granted', 0]]);
    expect(bars(lanes[3])).toEqual([['call', 3, 5, 'ok', 0], ['call', 4, 6, 'error', 1]]);
    expect(lanes[4]?.points.map((point) => [point.kind, point.label])).toEqual([['steering', 'It read a message that steers it']]);
  });

  it('leaves open what goes on, and closes what a new attempt cut off', () => {
    const live = { queued_at: at(0), started_at: at(1), finished_at: null, status: 'running' };
    const { lanes, to } = lanesOf(live, [
      event(1, 'run.started'),
      event(2, 'message.delta', { message_id: 'm1', text: 'a' }),
      event(5, 'run.retried', { attempt: 2, reason: 'host_lost' }),
      event(6, 'message.delta', { message_id: 'm1', text: 'a' }),
    ]);
    expect(to).toBeNull();
    expect(bars(lanes[1])).toEqual([['speech', 2, 5, 'unknown', 0], ['speech', 6, null, 'running', 0]]);
    expect(bars(lanes[0])?.at(-1)).toEqual(['running', 5, null, 'running', 0]);
  });

  it('waits for its turn, and ends there if it never ran', () => {
    expect(bars(lanesOf({ ...run, started_at: null, finished_at: null }, []).lanes[0])).toEqual([['queue', 0, null, 'queued', 0]]);
    expect(bars(lanesOf({ ...run, started_at: null, finished_at: at(4) }, []).lanes[0])).toEqual([['queue', 0, 4, 'done', 0]]);
  });

  it('draws few ticks at even distances', () => {
    expect(ticksOf(T0, T0 + 20_000, 6).map((tick) => tick.label)).toEqual(['0', '+5 s', '+10 s', '+15 s', '+20 s']);
    expect(ticksOf(T0, T0 + 7, 8)).toHaveLength(8);
    expect(offset(3_723_000)).toBe('+1:02:03');
  });
});

describe('the part of the journal', () => {
  it('is found by halving, with a margin', async () => {
    const asked: number[] = [];
    const place = await placeOf(at(600), 1_000, async (n) => {
      asked.push(n);
      return n < 100 ? null : at(n);
    });
    expect(place).toBeLessThan(600);
    expect(place).toBeGreaterThan(400);
    expect(asked.length).toBeLessThan(8);
    expect(await placeOf(at(0), 10, async () => at(0))).toBe(0);
  });

  it('holds what names the run, its message or its calls', () => {
    const own = new Belonging({ id: 'run_1', message_id: 'm0' });
    expect([
      event(0, 'message.admitted', { message_id: 'm0' }, null),
      event(0, 'message.admitted', { message_id: 'm9', run_id: 'run_1' }, null),
      event(0, 'message.withdrawn', { message_id: 'm9' }, null),
      event(0, 'tool.call.started', { call_id: 'c1' }),
      event(0, 'effect.resolved', { call_id: 'c1' }, null),
      event(0, 'transcript.undone', { run_ids: ['run_1'] }, null),
      event(0, 'message.admitted', { message_id: 'm5' }, null),
      event(0, 'run.started', {}, 'run_2'),
    ].map((one) => own.has(one))).toEqual([true, true, true, true, true, true, false, false]);
  });

  it('says who and what', () => {
    expect(actorOf(event(0, 'x', { actor: { user: 'ana' } }, null))).toBe('ana');
    expect(actorOf(event(0, 'x', { by: 'rule' }))).toBe('rule');
    expect(actorOf(event(0, 'x'))).toBe('agent');
    expect(gistOf(event(0, 'x', { tool: 'weather', arguments: { day: 1 } }))).toBe('weather {"day":1}');
    expect(gistOf(event(0, 'x', {}))).toBe('');
  });
});

describe('JSON', () => {
  it('stands in lines with paths', () => {
    expect(linesOf({ a: [1, { 'b c': 'x' }], d: {} }).map((line) => [line.path, line.depth, line.text])).toEqual([
      ['', 0, '{'], ['a', 1, '['], ['a[0]', 2, '1'], ['a[1]', 2, '{'], ['a[1]["b c"]', 3, '"x"'], ['a[1]', 2, '}'], ['a', 1, ']'], ['d', 1, '{}'], ['', 0, '}'],
    ]);
    expect(linesOf(Array(5_000).fill(0), 10)).toHaveLength(11);
  });

  it('tells what differs', () => {
    expect(changesBetween({ a: 1, b: [1, 2], c: 'x' }, { a: 1, b: [1, 3, 4], d: null })).toEqual([
      { path: 'b[1]', kind: 'changed', before: 2, after: 3 },
      { path: 'b[2]', kind: 'added', before: undefined, after: 4 },
      { path: 'c', kind: 'removed', before: 'x', after: undefined },
      { path: 'd', kind: 'added', before: undefined, after: null },
    ]);
    expect(changesBetween([1], { 0: 1 })).toHaveLength(1);
  });
});

describe('spending', () => {
  it('sums by model, and doesn’t take what is unknown for nothing', () => {
    const calls = callsOf([
      event(0, 'usage.recorded', { model: 'a', input_tokens: 10, output_tokens: 2, cost: 0.5 }),
      event(0, 'usage.recorded', { model: 'b', input_tokens: 1, output_tokens: 1 }),
      event(0, 'usage.recorded', { model: 'a', input_tokens: 5, output_tokens: 1, cost: 0.25 }),
      event(0, 'run.finished'),
    ]);
    expect(sumsOf(calls)).toEqual([
      { model: 'a', calls: 2, input: 15, output: 3, cost: 0.75 }, { model: 'b', calls: 1, input: 1, output: 1, cost: null },
    ]);
    expect([money(null), money(0.001234), money(2), money(0)]).toEqual(['unknown', '$0.0012', '$2.00', '$0.00']);
  });
});
