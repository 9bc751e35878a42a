// Common choices and the expressions they are.

import { expect, test } from 'vitest';
import { compose, daysOf, recognise, turned, type Choice } from './cron';

const COMMON: [string, Choice][] = [
  ['15 * * * *', { kind: 'hourly', minute: 15 }],
  ['30 9 * * *', { kind: 'daily', time: '09:30' }],
  ['30 9 * * 1-5', { kind: 'workdays', time: '09:30' }],
  ['0 18 * * 1,5,0', { kind: 'weekly', time: '18:00', days: [1, 5, 0] }],
  ['0 0 1 * *', { kind: 'monthly', time: '00:00', date: 1 }],
  ['5 23 L * *', { kind: 'monthly', time: '23:05', date: 'L' }],
];

test.each(COMMON)('%s is a common choice, and is written so again', (expression, choice) => {
  expect(recognise(expression)).toEqual(choice);
  expect(compose(choice)).toBe(expression);
});

test.each(['*/5 * * * *', '0 9 * * MON', '0 9 1 * 1', '0 9 * 1 *', '60 9 * * *', '0 24 * * *', '0 9 * *', '0 9 32 * *', '', '0 9 * * * *'])(
  '%s is an own expression', (expression) => expect(recognise(expression)).toEqual({ kind: 'other' }),
);

test('a name is recognised as what it stands for', () => {
  expect(recognise('@daily')).toEqual({ kind: 'daily', time: '00:00' });
});

test('another choice keeps the time of the day', () => {
  expect(turned('weekly', { kind: 'daily', time: '09:30' })).toEqual({ kind: 'weekly', time: '09:30', days: [1] });
  expect(turned('hourly', { kind: 'daily', time: '09:30' })).toEqual({ kind: 'hourly', minute: 30 });
  expect(turned('monthly', { kind: 'hourly', minute: 5 })).toEqual({ kind: 'monthly', time: '09:00', date: 1 });
});

test('no day of the week chosen is every day', () => {
  expect(compose({ kind: 'weekly', time: '09:00', days: [] })).toBe('0 9 * * *');
});

test.each([
  ['0 9 * * 1-5', ['2026-11-23', '2026-11-27'], ['2026-11-22', '2026-11-28']],
  ['*/15 * * * *', ['2026-11-22'], []],
  ['0 9 13 * FRI', ['2026-11-13', '2026-11-27', '2026-12-13'], ['2026-11-26']],
  ['0 9 */2 * MON', ['2026-11-23'], ['2026-11-22', '2026-11-30']],
  ['0 9 1 JAN,jul *', ['2027-01-01', '2027-07-01'], ['2027-02-01', '2027-01-02']],
  ['0 9 * * 7', ['2026-11-22'], ['2026-11-23']],
  ['@monthly', ['2027-02-01'], ['2027-02-02']],
])('%s fires on some days and on others not', (expression, on, off) => {
  const fires = daysOf(expression);
  expect([on.filter((day) => fires?.(day)), off.filter((day) => fires?.(day))]).toEqual([on, []]);
});

test.each(['0 9 L * *', '0 9 * * 5#2', '0 9 * *', '0 9 40 * *', '0 9 1-2-3 * *'])('%s is left to the host', (expression) => {
  expect(daysOf(expression)).toBeNull();
});
