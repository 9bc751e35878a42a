// How an agent did lately.

import { expect, test } from 'vitest';
import type { RunInfo } from '../../lib/types';
import { counted } from './record';

const run = (status: string, seconds = 1): RunInfo =>
  ({ status, started_at: '2026-11-22T00:00:00Z', finished_at: `2026-11-22T00:00:0${seconds}Z` }) as RunInfo;

test('counts what ended, and what completed of it', () => {
  const runs = [run('completed', 1), run('failed', 3), run('completed', 2), run('running'), run('cancelled')];
  expect(counted(runs, true)).toEqual({ ended: 3, completed: 2, live: 1, medianMs: 2_000, more: true });
  expect(counted([], false)).toEqual({ ended: 0, completed: 0, live: 0, medianMs: null, more: false });
});
