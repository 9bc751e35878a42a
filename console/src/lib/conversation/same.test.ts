// What is folded anew keeps the lines that are as they were.

import { expect, test } from 'vitest';
import type { Envelope } from '../types';
import { Fold } from './fold';
import { rowsOf } from './rows';
import { keepKnown } from './same';

let seq = 0;
const event = (type: string, data: Record<string, unknown>): Envelope =>
  ({ seq: ++seq, at: '2026-11-22T04:00:00.000000Z', type, run_id: 'run_1', data }) as Envelope;

const earlier = event('tool.call.started', { call_id: 'a', tool: 'look', arguments: { n: 1 } });
const later = [
  event('tool.call.started', { call_id: 'b', tool: 'look', arguments: { n: 2 } }),
  event('approval.requested', { call_id: 'b', tool: 'look', arguments: { n: 2 }, approval_id: 'apr_1', done: ['one'] }),
  event('message.delta', { message_id: 'm', text: 'Hello' }),
];

test('lines that come out as they were are the same values, and so are their rows', () => {
  const before = Fold.of(later);
  const after = Fold.of([earlier, ...later]);

  keepKnown(after.items, before.items);

  expect(after.items.map((item) => before.items.indexOf(item))).toEqual([-1, 0, 1]);
  expect(rowsOf(after.items)[2]).toBe(rowsOf(before.items)[1]);
});

test('a line that came out otherwise is the new one', () => {
  const before = Fold.of(later);
  const after = Fold.of([...later, event('message.delta', { message_id: 'm', text: ' you' })]);

  keepKnown(after.items, before.items);

  expect(after.items[1]).toMatchObject({ content: 'Hello you' });
});
