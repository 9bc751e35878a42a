// What is filled in becomes the bodies that the host takes, and an edit sends only what it changes.

import { describe, expect, test } from 'vitest';
import { bodyOf, changesOf, draftOf, emptyDraft, FieldFault, readingOf, spanOf, timingOf, type Draft } from './form';
import type { ScheduleInfo } from './types';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const draft = (changes: Partial<Draft>): Draft => ({ ...emptyDraft(NOW, 'Europe/Berlin'), agent: 'longhaul', message: 'Report', ...changes });

const schedule: ScheduleInfo = {
  id: 'sch_1', session_id: null, agent: 'longhaul', tenant: 'default', owner: 'ana', name: 'Morning', kind: 'task', message: 'Report',
  status: 'active', reason: null, next_at: '2026-11-23T08:30:00.000000Z', explanation: '', at: null, every_s: null, anchor: null,
  cron: '30 9 * * 1-5', timezone: 'Europe/Berlin', missed: 'once', missed_max: 10, overlap: 'queue', jitter_s: 0, max_runs: null,
  ends_at: '2027-01-31T22:59:00.500000Z', retries: 0, backoff_s: 30, pause_after_failures: 5, runs: 3, failures: 0, made_by: null, last: null,
  created_at: '', updated_at: '',
};

describe('when it fires', () => {
  test('once, at the local time of its zone', () => {
    expect(timingOf(draft({}))).toEqual({ at: '2026-11-23T09:00:00+01:00' });
  });

  test('after the gap, where the clocks skip that time', () => {
    const skipped = draft({ day: '2027-03-28', time: '02:30' });
    expect(timingOf(skipped)).toEqual({ at: '2027-03-28T03:00:00+02:00' });
    expect(readingOf(skipped)?.kind).toBe('never');
  });

  test('the first or the second time, where it comes twice', () => {
    const twice = draft({ day: '2027-10-31', time: '02:30' });
    expect(timingOf(twice)).toEqual({ at: '2027-10-31T02:30:00+02:00' });
    expect(timingOf({ ...twice, second: true })).toEqual({ at: '2027-10-31T02:30:00+01:00' });
  });

  test('at intervals, in seconds', () => {
    expect(timingOf(draft({ when: 'every', every: '1.5', unit: 'hours' }))).toEqual({ every_s: 5_400 });
    expect([spanOf(5_400), spanOf(86_400), spanOf(604_800), spanOf(1.5)]).toEqual([['90', 'minutes'], ['1', 'days'], ['1', 'weeks'], ['1.5', 'seconds']]);
  });

  test('or says which field can’t be read', () => {
    expect(() => timingOf(draft({ zone: 'Europe/Atlantis' }))).toThrow(FieldFault);
    expect(() => timingOf(draft({ when: 'every', every: 'often' }))).toThrow('Give a number.');
    expect(() => bodyOf(draft({ message: ' ' }))).toThrow('Say what is to be said.');
    expect(() => bodyOf(draft({ where: 'session' }))).toThrow('Choose the session');
  });
});

test('what is filled in is the body that makes it', () => {
  expect(bodyOf(draft({ when: 'cron', name: ' Morning ', maxRuns: '4', kind: 'reminder', where: 'session', session: 'ses_1' }))).toEqual({
    cron: '0 9 * * 1-5', timezone: 'Europe/Berlin', message: 'Report', kind: 'reminder', session_id: 'ses_1', name: 'Morning',
    missed: 'once', overlap: 'queue', missed_max: 10, jitter_s: 0, max_runs: 4, ends_at: null, retries: 0, backoff_s: 30, pause_after_failures: 5,
  });
});

describe('an edit', () => {
  const before = draftOf(schedule, NOW, 'UTC');

  test('that changes nothing sends nothing', () => {
    expect(changesOf(before, before, schedule)).toEqual({});
  });

  test('sends what it changes, and null for what it takes away', () => {
    const after: Draft = { ...before, name: '', endsDay: '', retries: '2', cron: '0 8 * * *' };
    expect(changesOf(before, after, schedule)).toEqual({ name: null, ends_at: null, retries: 2, cron: '0 8 * * *', timezone: 'Europe/Berlin' });
  });

  test('keeps the beginning of a grid to the microsecond', () => {
    const every: ScheduleInfo = { ...schedule, cron: null, timezone: null, every_s: 90, anchor: '2026-11-22T03:05:44.123456Z' };
    const then = draftOf(every, NOW, 'UTC');
    expect(changesOf(then, { ...then, every: '2', unit: 'minutes' }, every)).toEqual({ every_s: 120, anchor: '2026-11-22T03:05:44.123456Z' });
  });
});
