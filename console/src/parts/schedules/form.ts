// What somebody fills in for a schedule, and the bodies that the host takes for it.

import { textOf } from '../../lib/types';
import { addDays } from './calendar';
import type { Policies, ScheduleInfo } from './types';
import { HERE, isZone, localOf, read, withOffset, type Day, type Reading } from './zones';

export type Unit = 'seconds' | 'minutes' | 'hours' | 'days' | 'weeks';
export const UNITS: Record<Unit, number> = { seconds: 1, minutes: 60, hours: 3_600, days: 86_400, weeks: 604_800 };

/** The fields, as they are typed. Numbers are texts until they are sent. */
export interface Draft {
  where: 'agent' | 'session';
  agent: string;
  session: string;
  kind: 'task' | 'reminder';
  name: string;
  message: string;
  when: 'once' | 'every' | 'cron';
  day: Day;
  time: string;
  zone: string;
  /** The later one, where a time of the day comes twice. */
  second: boolean;
  every: string;
  unit: Unit;
  anchorDay: string;
  anchorTime: string;
  cron: string;
  missed: Policies['missed'];
  missedMax: string;
  overlap: Policies['overlap'];
  jitter: string;
  maxRuns: string;
  endsDay: string;
  endsTime: string;
  retries: string;
  backoff: string;
  pauseAfter: string;
}

export type Body = Record<string, unknown>;

/** Something that can't be sent, by the name of the field as the host names it. */
export class FieldFault extends Error {
  constructor(readonly field: string, text: string) {
    super(text);
  }
}

/** An empty form: tomorrow at nine, here. */
export function emptyDraft(now: number, zone = HERE): Draft {
  return {
    where: 'agent', agent: '', session: '', kind: 'task', name: '', message: '',
    when: 'once', day: addDays(localOf(now, zone).day, 1), time: '09:00', zone, second: false,
    every: '1', unit: 'hours', anchorDay: '', anchorTime: '', cron: '0 9 * * 1-5',
    missed: 'once', missedMax: '10', overlap: 'queue', jitter: '0', maxRuns: '', endsDay: '', endsTime: '',
    retries: '0', backoff: '30', pauseAfter: '5',
  };
}

/** The form of a schedule that stands, to edit it. Instants are shown in this browser's zone. */
export function draftOf(schedule: ScheduleInfo, now: number, here = HERE): Draft {
  const zone = schedule.timezone ?? here;
  const shown = isZone(zone) ? zone : here;
  const at = local(schedule.at, shown);
  const anchor = local(schedule.anchor, here);
  const ends = local(schedule.ends_at, shown);
  const [every, unit] = spanOf(schedule.every_s ?? 3_600);
  const empty = emptyDraft(now, here);
  return {
    ...empty, zone, every, unit,
    where: schedule.session_id ? 'session' : 'agent', agent: schedule.agent, session: schedule.session_id ?? '',
    kind: schedule.kind, name: schedule.name ?? '', message: textOf(schedule.message),
    when: schedule.cron ? 'cron' : schedule.every_s ? 'every' : 'once',
    day: at?.day ?? empty.day, time: at?.time ?? empty.time,
    anchorDay: anchor?.day ?? '', anchorTime: anchor?.time ?? '', cron: schedule.cron ?? empty.cron,
    missed: schedule.missed, missedMax: String(schedule.missed_max), overlap: schedule.overlap, jitter: String(schedule.jitter_s),
    maxRuns: schedule.max_runs === null ? '' : String(schedule.max_runs), endsDay: ends?.day ?? '', endsTime: ends?.time ?? '',
    retries: String(schedule.retries), backoff: String(schedule.backoff_s), pauseAfter: String(schedule.pause_after_failures),
  };
}

const local = (at: string | null, zone: string) => (at === null ? null : localOf(Date.parse(at), zone));

/** Seconds in the largest unit that measures them whole. */
export function spanOf(seconds: number): [string, Unit] {
  const unit = (Object.keys(UNITS) as Unit[]).findLast((one) => seconds % UNITS[one] === 0) ?? 'seconds';
  return [String(seconds / UNITS[unit]), unit];
}

/** What the time of a one-time schedule means; null while it says nothing that can be read. */
export function readingOf(draft: Draft): Reading | null {
  if (draft.when !== 'once' || !isZone(draft.zone)) return null;
  const reading = read(draft.day, draft.time, draft.zone);
  return Number.isNaN(reading.at) ? null : reading;
}

/** When it fires, as the host takes it. Raises FieldFault. */
export function timingOf(draft: Draft): Body {
  switch (draft.when) {
    case 'once':
      return { at: instantOf('at', draft.day, draft.time, zoneOf(draft), draft.second) };
    case 'every': {
      const every = numberOf('every_s', draft.every) * UNITS[draft.unit];
      if (!draft.anchorDay) return { every_s: every };
      return { every_s: every, anchor: instantOf('anchor', draft.anchorDay, draft.anchorTime || '00:00', HERE, false) };
    }
    case 'cron':
      return { cron: draft.cron.trim(), timezone: zoneOf(draft) };
  }
}

/** How its occurrences are treated, as the host takes it. Raises FieldFault. */
export function policiesOf(draft: Draft): Body {
  const zone = draft.when === 'every' || !isZone(draft.zone) ? HERE : draft.zone;
  return {
    missed: draft.missed, overlap: draft.overlap,
    missed_max: numberOf('missed_max', draft.missedMax, 10),
    jitter_s: numberOf('jitter_s', draft.jitter, 0),
    max_runs: draft.maxRuns.trim() === '' ? null : numberOf('max_runs', draft.maxRuns),
    ends_at: draft.endsDay === '' ? null : instantOf('ends_at', draft.endsDay, draft.endsTime || '23:59', zone, true),
    retries: numberOf('retries', draft.retries, 0),
    backoff_s: numberOf('backoff_s', draft.backoff, 30),
    pause_after_failures: numberOf('pause_after_failures', draft.pauseAfter, 5),
  };
}

/** The body that makes it. Raises FieldFault. */
export function bodyOf(draft: Draft): Body {
  if (draft.message.trim() === '') throw new FieldFault('message', 'Say what is to be said.');
  if (draft.where === 'session' && !draft.session) throw new FieldFault('session_id', 'Choose the session that it speaks in.');
  if (draft.where === 'agent' && !draft.agent) throw new FieldFault('agent', 'Choose the agent that it opens sessions with.');
  return {
    ...timingOf(draft), ...policiesOf(draft), message: draft.message, kind: draft.kind,
    ...(draft.where === 'session' ? { session_id: draft.session } : { agent: draft.agent }),
    ...(draft.name.trim() && { name: draft.name.trim() }),
  };
}

/** What an edit changes; what is left out stays, to the microsecond. Raises FieldFault. */
export function changesOf(before: Draft, draft: Draft, schedule: ScheduleInfo): Body {
  const changes: Body = {};
  const differs = (...fields: (keyof Draft)[]) => fields.some((field) => before[field] !== draft[field]);
  if (differs('message')) {
    if (draft.message.trim() === '') throw new FieldFault('message', 'Say what is to be said.');
    changes.message = draft.message;
  }
  if (differs('name')) changes.name = draft.name.trim() || null;
  if (differs('kind')) changes.kind = draft.kind;
  const then = policiesOf(before);
  for (const [name, value] of Object.entries(policiesOf(draft))) if (then[name] !== value) changes[name] = value;
  return { ...changes, ...timingChanges(differs, draft, schedule) };
}

function timingChanges(differs: (...fields: (keyof Draft)[]) => boolean, draft: Draft, schedule: ScheduleInfo): Body {
  const fields = { once: ['day', 'time', 'zone', 'second'], every: ['every', 'unit', 'anchorDay', 'anchorTime'], cron: ['cron', 'zone'] } as const;
  if (!differs('when', ...fields[draft.when])) return {};
  const timing = timingOf(draft);
  // The grid keeps its beginning, which the form shows to the minute only.
  if (draft.when === 'every' && schedule.anchor && !differs('anchorDay', 'anchorTime')) timing.anchor = schedule.anchor;
  return timing;
}

function zoneOf(draft: Draft): string {
  const zone = draft.zone.trim();
  if (draft.when === 'once' && !isZone(zone)) throw new FieldFault('timezone', `This browser knows no time zone “${zone}”. Choose one of the list, such as Europe/Berlin or UTC.`);
  return zone;
}

function instantOf(field: string, day: string, time: string, zone: string, second: boolean): string {
  const reading = read(day, time, zone);
  if (Number.isNaN(reading.at)) throw new FieldFault(field, 'Give a day and a time.');
  return withOffset(reading.kind === 'twice' && second ? reading.second : reading.at, zone);
}

function numberOf(field: string, text: string, otherwise?: number): number {
  if (text.trim() === '' && otherwise !== undefined) return otherwise;
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new FieldFault(field, 'Give a number.');
  return number;
}
