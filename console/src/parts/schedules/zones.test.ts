// Local times around the changes of the clocks.

import { describe, expect, test } from 'vitest';
import { dayText, HERE, isZone, known, localOf, offsetAt, offsetText, read, startOf, withOffset, zoneNames } from './zones';

const at = (text: string) => Date.parse(text);

describe('a local time', () => {
  test('is one instant on most days', () => {
    expect(read('2026-11-23', '09:30', 'Europe/Berlin')).toEqual({ kind: 'once', at: at('2026-11-23T08:30Z') });
    expect(read('2026-07-01', '09:30', 'America/New_York')).toEqual({ kind: 'once', at: at('2026-07-01T13:30Z') });
    expect(read('2026-11-23', '09:30', 'UTC')).toEqual({ kind: 'once', at: at('2026-11-23T09:30Z') });
  });

  test('that the clocks skip is told with the first instant after the gap', () => {
    const gap = { kind: 'never', at: at('2027-03-28T01:00Z'), from: '02:00', to: '03:00' };
    expect(read('2027-03-28', '02:30', 'Europe/Berlin')).toEqual(gap);
    expect(read('2027-03-28', '02:00', 'Europe/Berlin')).toEqual(gap);
    expect(read('2027-03-28', '03:00', 'Europe/Berlin')).toEqual({ kind: 'once', at: at('2027-03-28T01:00Z') });
    expect(read('2027-03-28', '01:59', 'Europe/Berlin')).toEqual({ kind: 'once', at: at('2027-03-28T00:59Z') });
  });

  test('that comes twice has both instants', () => {
    expect(read('2027-10-31', '02:30', 'Europe/Berlin')).toEqual({
      kind: 'twice', at: at('2027-10-31T00:30Z'), second: at('2027-10-31T01:30Z'), back: '02:00',
    });
    expect(read('2027-10-31', '03:00', 'Europe/Berlin')).toEqual({ kind: 'once', at: at('2027-10-31T02:00Z') });
  });

  test('follows changes by half an hour, and of a whole day', () => {
    expect(read('2026-10-04', '02:15', 'Australia/Lord_Howe')).toEqual({
      kind: 'never', at: at('2026-10-03T15:30Z'), from: '02:00', to: '02:30',
    });
    expect(read('2011-12-30', '12:00', 'Pacific/Apia')).toMatchObject({ kind: 'never', at: at('2011-12-30T10:00Z') });
  });

  test('that is none at all is not a number', () => {
    expect(read('', '09:30', 'UTC')).toEqual({ kind: 'once', at: NaN });
  });
});

test('a day begins at its first instant, also where midnight is skipped', () => {
  expect(startOf('2026-11-23', 'Asia/Kolkata')).toBe(at('2026-11-22T18:30Z'));
  expect(startOf('2026-04-24', 'Africa/Cairo')).toBe(at('2026-04-23T22:00Z'));
});

test('an instant is written with the offset of its zone', () => {
  expect(withOffset(at('2026-11-23T08:30:00Z'), 'Europe/Berlin')).toBe('2026-11-23T09:30:00+01:00');
  expect(withOffset(at('2026-11-23T08:30:00Z'), 'America/St_Johns')).toBe('2026-11-23T05:00:00-03:30');
  expect(localOf(at('2026-11-23T23:59:59.900Z'), 'UTC')).toEqual({ day: '2026-11-23', time: '23:59', seconds: '23:59:59' });
  expect(offsetText(offsetAt(at('2026-11-23T08:30:00Z'), 'Asia/Kathmandu'))).toBe('+05:45');
});

test('days and zones have names', () => {
  expect(dayText('2026-11-23')).toBe('Mon 23 Nov 2026');
  expect(zoneNames()).toEqual(expect.arrayContaining(['UTC', 'Europe/Berlin']));
  expect(isZone('Europe/Berlin')).toBe(true);
  expect(isZone('Europe/Atlantis')).toBe(false);
  expect([known('Europe/Berlin'), known('Europe/Atlantis'), known(null)]).toEqual(['Europe/Berlin', HERE, HERE]);
});
