// Local times and instants in any time zone, as the browser's zone data has them: offsets, times of the day that
// don't exist or come twice, and how an instant is written with its offset.

/** A day of a calendar, `2027-03-28`. */
export type Day = string;

/** The zone of this browser. */
export const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let found = formats.get(zone);
  if (!found) {
    found = new Intl.DateTimeFormat('en-US-u-ca-iso8601-nu-latn', {
      timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit',
      hour: '2-digit', minute: '2-digit', second: '2-digit',
    });
    formats.set(zone, found);
  }
  return found;
}

/** Whether this browser knows a zone of that name. */
export function isZone(zone: string): boolean {
  try {
    return zone !== '' && Boolean(formatOf(zone));
  } catch {
    return false;
  }
}

/** A zone that times can be told in: this one, or the browser’s own if it has no data of it. The host may know more. */
export const known = (zone: string | null): string => (zone !== null && isZone(zone) ? zone : HERE);

/** What the clocks of a zone show at an instant, as if it were UTC, in milliseconds. */
function shown(at: number, zone: string): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(at)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** How far the clocks of a zone are ahead of UTC at an instant, in milliseconds. */
export function offsetAt(at: number, zone: string): number {
  const whole = Math.floor(at / 1_000) * 1_000;
  return shown(whole, zone) - whole;
}

/** The day and the time of the day that the clocks of a zone show. */
export function localOf(at: number, zone: string): { day: Day; time: string; seconds: string } {
  const text = new Date(at + offsetAt(at, zone)).toISOString();
  return { day: text.slice(0, 10), time: text.slice(11, 16), seconds: text.slice(11, 19) };
}

/** What a local time means: one instant; two; or none, with the first instant after the gap. */
export type Reading =
  | { kind: 'once'; at: number }
  | { kind: 'twice'; at: number; second: number; back: string }
  | { kind: 'never'; at: number; from: string; to: string };

/** Read a local time, `09:30`, on a day in a zone. NaN where it is no time at all. */
export function read(day: Day, time: string, zone: string): Reading {
  const local = Date.parse(`${day}T${time}Z`);
  if (Number.isNaN(local)) return { kind: 'once', at: NaN };
  const before = offsetAt(local - DAY, zone);
  const after = offsetAt(local + DAY, zone);
  const found = [...new Set([local - before, local - after])].filter((at) => at + offsetAt(at, zone) === local);
  const [first = NaN, second] = found.toSorted((a, b) => a - b);
  if (found.length === 1) return { kind: 'once', at: first };
  const change = changeBetween(local - DAY - before, local + DAY - after, zone);
  const clock = (offset: number) => new Date(change + offset).toISOString().slice(11, 16);
  if (second !== undefined) return { kind: 'twice', at: first, second, back: clock(after) };
  return { kind: 'never', at: change, from: clock(before), to: clock(after) };
}

/** The instant between two at which the clocks of a zone are set, to the second. */
function changeBetween(low: number, high: number, zone: string): number {
  const before = offsetAt(low, zone);
  while (high - low > 1_000) {
    const middle = Math.floor((low + high) / 2_000) * 1_000;
    if (offsetAt(middle, zone) === before) low = middle;
    else high = middle;
  }
  return high;
}

/** The first instant of a day in a zone. */
export const startOf = (day: Day, zone: string): number => read(day, '00:00', zone).at;

/** `+02:00`. */
export function offsetText(offset: number): string {
  const minutes = Math.abs(Math.round(offset / 60_000));
  const two = (n: number) => String(n).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** An instant as the host takes it: the local time of a zone, with its offset. */
export function withOffset(at: number, zone: string): string {
  const { day, seconds } = localOf(at, zone);
  return `${day}T${seconds}${offsetText(offsetAt(at, zone))}`;
}

const names = new Map<string, Intl.DateTimeFormat>();

/** "Mon 23 Nov 2026". A day knows no zone. */
export function dayText(day: Day, options: Intl.DateTimeFormatOptions = { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' }): string {
  const key = JSON.stringify(options);
  let format = names.get(key);
  if (!format) names.set(key, (format = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' })));
  return format.format(new Date(`${day}T00:00:00Z`)).replaceAll(',', '');
}

/** Every zone that the browser has a name for, with UTC. */
export function zoneNames(): string[] {
  return [...new Set(['UTC', HERE, ...Intl.supportedValuesOf('timeZone')])].sort();
}
