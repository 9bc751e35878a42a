// Days, weeks and months, and what stands on each day of a calendar: occurrences that were, and instants to come.

import type { OccurrenceInfo, ScheduleInfo } from './types';
import { localOf, startOf, type Day } from './zones';

/** One instant of a schedule. `state` is how its run ended, what became of it, or `due`. */
export interface Entry {
  schedule: string;
  name: string;
  at: number;
  state: string;
  runId: string | null;
}

/** A line of a day: one entry, several of one schedule in one, or a schedule whose instants aren’t drawn (`count` 0). */
export interface Line {
  key: string;
  schedule: string;
  name: string;
  from: number;
  to: number;
  count: number;
  state: string;
  runId: string | null;
  /** Said instead of times. */
  note?: string;
}

/** More than so many of one schedule on a day become one line. */
export const MOST_SINGLE = 3;

const DAY = 86_400_000;
const noon = (day: Day): number => Date.parse(`${day}T12:00:00Z`);
const dayAt = (at: number): Day => new Date(at).toISOString().slice(0, 10);

export const addDays = (day: Day, count: number): Day => dayAt(noon(day) + count * DAY);

/** The same day of another month, or its last day if it is shorter. */
export function addMonths(day: Day, count: number): Day {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  const last = new Date(Date.UTC(year, month + count, 0, 12)).getUTCDate();
  return dayAt(Date.UTC(year, month - 1 + count, Math.min(date, last), 12));
}

/** 0 is Monday. */
export const weekday = (day: Day): number => (new Date(noon(day)).getUTCDay() + 6) % 7;

export function weekOf(day: Day): Day[] {
  const monday = addDays(day, -weekday(day));
  return Array.from({ length: 7 }, (_, index) => addDays(monday, index));
}

/** The weeks that have a day of this one's month. */
export function monthOf(day: Day): Day[][] {
  const first = `${day.slice(0, 7)}-01`;
  const last = addDays(addMonths(first, 1), -1);
  const weeks: Day[][] = [];
  for (let week = weekOf(first); ; week = weekOf(addDays(week[0] ?? first, 7))) {
    weeks.push(week);
    if (week.includes(last)) return weeks;
  }
}

/** Where a key of the keyboard leads on a calendar; null if nowhere. */
export function moved(day: Day, key: string, shift: boolean): Day | null {
  switch (key) {
    case 'ArrowLeft': return addDays(day, -1);
    case 'ArrowRight': return addDays(day, 1);
    case 'ArrowUp': return addDays(day, -7);
    case 'ArrowDown': return addDays(day, 7);
    case 'Home': return addDays(day, -weekday(day));
    case 'End': return addDays(day, 6 - weekday(day));
    case 'PageUp': return addMonths(day, shift ? -12 : -1);
    case 'PageDown': return addMonths(day, shift ? 12 : 1);
    default: return null;
  }
}

/** A day is a day, whoever typed the address. */
export const isDay = (text: string | null): text is Day => text !== null && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(noon(text)) && dayAt(noon(text)) === text;

/** What to call a schedule that may have no name. */
export function nameOf(schedule: ScheduleInfo): string {
  const { name, message } = schedule;
  if (name) return name;
  const text = typeof message === 'string' ? message : message.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(' ');
  return text.trim().split('\n', 1)[0]?.slice(0, 120) || 'Without a name';
}

/** How an occurrence stands: how its run ended, or what became of it. */
export function stateOf(occurrence: OccurrenceInfo): string {
  if (occurrence.state !== 'admitted') return occurrence.state;
  return occurrence.outcome ?? (occurrence.run_id ? 'running' : 'admitted');
}

export function entryOf(schedule: ScheduleInfo, occurrence: OccurrenceInfo): Entry {
  return {
    schedule: schedule.id, name: nameOf(schedule), at: Date.parse(occurrence.due_at),
    state: stateOf(occurrence), runId: occurrence.run_id,
  };
}

/** The instants of an interval between two moments, at most `most`; `total` counts all of them. */
export function gridBetween(everyMs: number, anchor: number, from: number, to: number, most: number): { at: number[]; total: number } {
  const first = Math.max(0, Math.ceil((from - anchor) / everyMs));
  const total = Math.max(0, Math.ceil((to - anchor) / everyMs) - first);
  return { at: Array.from({ length: Math.min(total, most) }, (_, index) => anchor + (first + index) * everyMs), total };
}

/** The entries of each day, in their order. */
export function byDay(entries: Iterable<Entry>, zone: string): Map<Day, Entry[]> {
  const days = new Map<Day, Entry[]>();
  for (const entry of [...entries].sort((a, b) => a.at - b.at)) {
    const { day } = localOf(entry.at, zone);
    days.set(day, [...(days.get(day) ?? []), entry]);
  }
  return days;
}

// The first of these that several entries have is how they stand together.
const WEIGHT = ['failed', 'timed_out', 'lost', 'missed', 'skipped', 'running', 'waiting', 'admitted', 'cancelled', 'completed', 'due'];
const weight = (state: string): number => (WEIGHT.indexOf(state) + WEIGHT.length + 1) % (WEIGHT.length + 1);

/** The lines of a day. What was and what is to come of a schedule stay apart. */
export function gathered(entries: Entry[]): Line[] {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const key = `${entry.schedule} ${entry.state === 'due'}`;
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  const lines = [...groups.values()].flatMap((group) => (group.length > MOST_SINGLE ? [lineOf(group)] : group.map((one) => lineOf([one]))));
  return lines.sort((a, b) => a.from - b.from);
}

function lineOf(entries: Entry[]): Line {
  const [first] = entries;
  const last = entries.at(-1);
  if (!first || !last) throw new RangeError('A line needs an entry.');
  const state = entries.reduce((worst, one) => (weight(one.state) < weight(worst) ? one.state : worst), first.state);
  return {
    key: `${first.schedule} ${first.at} ${entries.length}`, schedule: first.schedule, name: first.name,
    from: first.at, to: last.at, count: entries.length, state, runId: entries.length === 1 ? first.runId : null,
  };
}

/** A schedule on a day on which it comes too often, or too far ahead, for each instant to be drawn. */
export function goingOn(schedule: ScheduleInfo, day: Day, zone: string): Line {
  const at = startOf(day, zone);
  return { key: `${schedule.id} ${day}`, schedule: schedule.id, name: nameOf(schedule), from: at, to: at, count: 0, state: 'due', runId: null, note: schedule.explanation };
}
