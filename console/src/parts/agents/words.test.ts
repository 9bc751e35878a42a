// The terms of tools, in words.

import { expect, test } from 'vitest';
import { approvalOf, replayOf, sourceOf } from './words';

test('when a call asks a person', () => {
  expect(approvalOf({ name: 'a' })).toBe('never asks');
  expect(approvalOf({ name: 'a', approval: { always: true } })).toBe('always asks');
  expect(approvalOf({ name: 'a', approval: { when: { amount: { gt: 100 }, to: { not_in: ['x'] } } } })).toBe('asks if amount > 100 and to is none of ["x"]');
});

test('whether a call may be repeated, and where the tool is from', () => {
  expect([replayOf({ name: 'a' }), replayOf({ name: 'a', replay: 'safe' }), replayOf({ name: 'a', replay: 'verify' })]).toEqual(
    ['never repeated', 'safe to repeat', 'verified before it is repeated'],
  );
  expect(sourceOf({ name: 'a', source: 'python:shop.tools:send#5c1e' })).toBe('python:shop.tools:send');
});
