// Days and months, keys, and what stands on a day.

import { describe, expect, test } from 'vitest';
import { addDays, addMonths, byDay, gathered, gridBetween, isDay, monthOf, moved, nameOf, stateOf, weekOf, type Entry } from './calendar';
import type { OccurrenceInfo, ScheduleInfo } from './types';

const entry = (at: string, state = 'due', schedule = 'sch_1'): Entry => ({ schedule, name: 'Report', at: Date.parse(at), state, runId: null });

describe('a calendar', () => {
  test('knows the lengths of months', () => {
    expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
    expect(addMonths('2027-01-31', 1)).toBe('2027-02-28');
    expect(addMonths('2028-01-31', 1)).toBe('2028-02-29');
    expect(addMonths('2027-01-15', -13)).toBe('2025-12-15');
  });

  test('has whole weeks that begin on Monday', () => {
    expect(weekOf('2026-11-22')).toEqual(['2026-11-16', '2026-11-17', '2026-11-18', '2026-11-19', '2026-11-20', '2026-11-21', '2026-11-22']);
    const weeks = monthOf('2026-11-22');
    expect(weeks.map((week) => week[0])).toEqual(['2026-10-26', '2026-11-02', '2026-11-09', '2026-11-16', '2026-11-23', '2026-11-30']);
    expect(monthOf('2027-02-10')).toHaveLength(4);
  });

  test('is walked by keys', () => {
    const day = '2026-11-22';
    expect(['ArrowLeft', 'ArrowDown', 'Home', 'End', 'PageUp', 'PageDown', 'x'].map((key) => moved(day, key, false))).toEqual(
      ['2026-11-21', '2026-11-29', '2026-11-16', '2026-11-22', '2026-10-22', '2026-12-22', null],
    );
    expect(moved(day, 'PageDown', true)).toBe('2027-11-22');
  });

  test('takes only days that exist', () => {
    expect([isDay('2026-11-22'), isDay('2026-02-30'), isDay('soon'), isDay(null)]).toEqual([true, false, false, false]);
  });
});

describe('a day', () => {
  test('is that of the zone, also on the day that has 25 hours', () => {
    const days = byDay([entry('2027-10-30T22:00Z'), entry('2027-10-31T22:59Z'), entry('2027-10-31T23:00Z')], 'Europe/Berlin');
    expect([...days].map(([day, all]) => [day, all.length])).toEqual([['2027-10-31', 2], ['2027-11-01', 1]]);
  });

  test('tells few entries one by one, and many as one with the worst state', () => {
    const many = ['01', '02', '03', '04'].map((hour, index) => entry(`2026-11-22T${hour}:00Z`, index === 2 ? 'failed' : 'completed'));
    const lines = gathered([...many, entry('2026-11-22T05:00Z'), entry('2026-11-22T02:30Z', 'missed', 'sch_2')]);
    expect(lines.map((line) => [line.schedule, line.count, line.state])).toEqual([['sch_1', 4, 'failed'], ['sch_2', 1, 'missed'], ['sch_1', 1, 'due']]);
    expect(lines[0]?.to).toBe(Date.parse('2026-11-22T04:00Z'));
  });
});

test('an interval is counted, and drawn as far as asked', () => {
  const anchor = Date.parse('2026-11-22T00:00Z');
  const found = gridBetween(3_600_000, anchor, anchor + 1, anchor + 86_400_000, 2);
  expect(found).toEqual({ at: [anchor + 3_600_000, anchor + 7_200_000], total: 23 });
  expect(gridBetween(3_600_000, anchor, anchor - 9e6, anchor, 5)).toEqual({ at: [], total: 0 });
});

test('an occurrence stands as its run does', () => {
  const occurrence = { state: 'admitted', outcome: null, run_id: 'run_1' } as OccurrenceInfo;
  expect(stateOf(occurrence)).toBe('running');
  expect(stateOf({ ...occurrence, outcome: 'failed' })).toBe('failed');
  expect(stateOf({ ...occurrence, run_id: null })).toBe('admitted');
  expect(stateOf({ ...occurrence, state: 'missed' })).toBe('missed');
});

test('a schedule without a name is called by its first line', () => {
  const schedule = { name: null, message: 'Report\nall of it' } as ScheduleInfo;
  expect(nameOf(schedule)).toBe('Report');
  expect(nameOf({ ...schedule, message: [{ type: 'file', file_id: 'f' }] })).toBe('Without a name');
  expect(nameOf({ ...schedule, name: 'Morning' })).toBe('Morning');
});
