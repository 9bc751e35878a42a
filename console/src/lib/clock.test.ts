// The host's time, learnt from its answers.

import { expect, it } from 'vitest';
import { ago, clock } from './clock.svelte';

const answer = (offMs: number) => clock.hear(new Date(Date.now() + offMs).toUTCString());
const off = () => clock.now - clock.here;

it('shows times by the clock of the host, where this browser’s is wrong', () => {
  answer(1_000);
  expect(off()).toBe(0);
  answer(3_600_000);
  expect(Math.abs(off() - 3_600_000)).toBeLessThan(2_000);
  clock.hear(null);
  expect(Math.abs(off() - 3_600_000)).toBeLessThan(2_000);
  answer(0);
  expect(off()).toBe(0);
});

it('tells what has passed once it is whole, and what is to come as it was promised', () => {
  const noon = Date.parse('2026-11-22T12:00:00Z');
  expect(ago(noon + 86_395_000, noon)).toBe('in 24h');
  expect(ago(noon - 7_195_000, noon)).toBe('1h ago');
  expect(ago(noon - 5_000, noon)).toBe('now');
});
