import { describe, expect, it } from 'vitest';
import { CHARTS, fullness, latest, limitNumber, sparkline, spoken, worded } from './figures';

describe('a figure in words', () => {
  it('says what is unknown by a dash', () => expect(worded(null, 'count')).toBe('–'));
  it('groups thousands', () => expect(worded(1_204, 'count')).toBe('1,204'));
  it('shortens what is long', () => expect(worded(1_250_000, 'count')).toBe('1.3M'));
  it('keeps a tenth of small rates', () => expect(worded(0.25, 'per_s')).toBe('0.3/s'));
  it('keeps a tenth of few milliseconds', () => expect(worded(3.21, 'ms')).toBe('3.2 ms'));
  it('speaks of seconds where milliseconds are many', () => expect(worded(3_200, 'ms')).toBe('3.2 s'));
  it('counts bytes in 1,024s', () => expect(worded(5_242_880, 'bytes')).toBe('5.0 MB'));
});

describe('a small line', () => {
  it('spans its box', () => expect(sparkline([0, 5, 10], 20, 10)).toBe('M0.0 9.0L10.0 5.0L20.0 1.0'));
  it('leaves a gap for what is unknown', () => expect(sparkline([10, null, 10], 20, 10)).toBe('M0.0 1.0M20.0 1.0'));
  it('draws nothing of nothing', () => expect(sparkline([], 20, 10)).toBe(''));
});

it('takes the last value that is known', () => {
  expect(latest([1, 2, null])).toBe(2);
  expect(latest([null])).toBeNull();
  expect(latest(undefined)).toBeNull();
});

it('tells a chart as a sentence', () => {
  const runs = CHARTS[0];
  expect(runs && spoken(runs, { host: 1, step_s: 10, at: [], series: { live_runs: [1, null, 3] } })).toBe(
    'Live: now 3, between 1 and 3. Waiting for a slot: unknown',
  );
});

it('tells how full a limit is, where it is one', () => {
  const standing = { name: 'live_runs', scope: 'global' as const };
  expect(fullness({ ...standing, limit: 200, current: 50 })).toBe(0.25);
  expect(fullness({ ...standing, limit: 0, current: 0 })).toBe(1);
  expect(fullness({ ...standing, limit: null, current: 50 })).toBeNull();
});

it('tells limits in their units', () => {
  expect(limitNumber('approval_ttl_s', 86_400)).toBe('24 h 0 min');
  expect(limitNumber('files_bytes_per_session', 1_073_741_824)).toBe('1.0 GB');
  expect(limitNumber('open_sessions', 100_000)).toBe('100,000');
});
