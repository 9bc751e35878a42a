// The words for how schedules stand: why one rests, why an occurrence was left out, how late it was.

import { duration } from '../../lib/clock.svelte';
import type { OccurrenceInfo, ScheduleInfo } from './types';
import { dayText, HERE, known, localOf, offsetAt, offsetText } from './zones';

/** Why a schedule rests or is over, and what to do about it. */
const REASONS: Record<string, string> = {
  asked: 'Somebody paused it. Nothing of it comes until it is resumed.',
  failures: 'It failed too often in a row. See its history, put right what fails, then resume it.',
  principal_gone: 'Whoever made it has no key any more. Make one of your own instead.',
  forbidden: 'Whoever made it may not write there any more. Make one of your own instead.',
  session_closed: 'Its session is closed. Reopen the session, then resume it.',
  timetable: 'Its time zone is gone from this host’s zone data. Give it another one, then resume it.',
  error: 'The host couldn’t carry it out in three tries; the log of the host tells why. Resume it to try again.',
};

export function whyItRests(schedule: ScheduleInfo): string {
  if (schedule.status !== 'paused') return '';
  return REASONS[schedule.reason ?? ''] ?? `It rests: ${schedule.reason ?? 'no reason was given'}.`;
}

const LEFT_OUT: Record<string, string> = {
  overlap: 'its session was busy', capacity: 'there was no room', refused: 'the message was refused', unknown_agent: 'the agent isn’t hosted',
  session_closed: 'its session was closed', forbidden: 'its maker may not write there', principal_gone: 'its maker has no key any more',
};

/** What stands beside the state of an occurrence. */
export function whyItWas(occurrence: OccurrenceInfo): string {
  const { state, reason, manual } = occurrence;
  if (state === 'skipped') return LEFT_OUT[reason ?? ''] ?? reason ?? '';
  if (state === 'missed') return reason === 'paused' ? 'the schedule was paused' : 'the host was away';
  if (manual) return 'asked for by hand';
  if (reason === 'late') return 'made up for after an outage';
  if (reason === 'paused') return 'made up for after a pause';
  return '';
}

/** How long after its instant an occurrence was looked at; empty where nobody had to be on time. */
export function lateness(occurrence: OccurrenceInfo): string {
  if (!occurrence.seen_at || occurrence.manual) return '';
  return duration(Math.max(0, Date.parse(occurrence.seen_at) - Date.parse(occurrence.due_at)));
}

/** The zone that a schedule’s times are told in: its own, else this browser’s. */
export const zoneOf = (schedule: ScheduleInfo): string => known(schedule.timezone);

const SHORT: Intl.DateTimeFormatOptions = { weekday: 'short', day: 'numeric', month: 'short' };

/** "Mon 23 Nov 09:30", in a zone: with seconds where there are any, and the year where it isn’t this one. */
export function clockText(at: string | number, zone: string, now = Date.now()): string {
  const ms = typeof at === 'number' ? at : Date.parse(at);
  const { day, time, seconds } = localOf(ms, zone);
  const date = day.slice(0, 4) === localOf(now, zone).day.slice(0, 4) ? dayText(day, SHORT) : dayText(day);
  return `${date} ${seconds.endsWith(':00') ? time : seconds}`;
}

/** The same with its zone, where that isn’t this browser’s. */
export const zonedText = (at: string | number, zone: string): string => `${clockText(at, zone)}${zone === HERE ? '' : ` ${zone}`}`;

/** "+01:00", of a zone at an instant. */
export const offsetOf = (at: string, zone: string): string => offsetText(offsetAt(Date.parse(at), zone));
