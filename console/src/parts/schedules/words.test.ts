// How schedules and their occurrences stand, in words.

import { expect, test } from 'vitest';
import type { OccurrenceInfo, ScheduleInfo } from './types';
import { clockText, lateness, whyItRests, whyItWas, zonedText } from './words';

const occurrence = { state: 'admitted', reason: null, manual: false, due_at: '2026-11-23T08:30:00Z', seen_at: '2026-11-23T08:30:00.012Z' } as OccurrenceInfo;

test('why an occurrence was left out, or came otherwise than on time', () => {
  expect(whyItWas({ ...occurrence, state: 'skipped', reason: 'overlap' })).toBe('its session was busy');
  expect(whyItWas({ ...occurrence, state: 'missed', reason: 'late' })).toBe('the host was away');
  expect(whyItWas({ ...occurrence, reason: 'paused' })).toBe('made up for after a pause');
  expect(whyItWas({ ...occurrence, manual: true, reason: 'asked' })).toBe('asked for by hand');
  expect(whyItWas(occurrence)).toBe('');
});

test('how late it was, where it had to be on time', () => {
  expect(lateness(occurrence)).toBe('12 ms');
  expect(lateness({ ...occurrence, manual: true })).toBe('');
});

test('why a schedule rests, and the way out', () => {
  const schedule = { status: 'paused', reason: 'session_closed' } as ScheduleInfo;
  expect(whyItRests(schedule)).toBe('Its session is closed. Reopen the session, then resume it.');
  expect(whyItRests({ ...schedule, status: 'active' })).toBe('');
});

test('an instant in a zone, with what isn’t to be guessed', () => {
  const now = Date.parse('2026-11-22T12:00:00Z');
  expect(clockText('2026-11-23T08:30:00Z', 'Europe/Berlin', now)).toBe('Mon 23 Nov 09:30');
  expect(clockText('2027-01-01T08:30:05Z', 'Europe/Berlin', now)).toBe('Fri 1 Jan 2027 09:30:05');
  expect(zonedText('2026-11-23T08:30:00Z', 'Pacific/Chatham')).toContain(' Pacific/Chatham');
});
