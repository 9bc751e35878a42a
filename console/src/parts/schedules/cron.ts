// Cron expressions as people choose them: common ones as a choice with a time and days, all others as they are.

export type Choice =
  | { kind: 'hourly'; minute: number }
  | { kind: 'daily'; time: string }
  | { kind: 'workdays'; time: string }
  | { kind: 'weekly'; time: string; days: number[] }
  | { kind: 'monthly'; time: string; date: number | 'L' }
  | { kind: 'other' };

export const KINDS: { kind: Choice['kind']; label: string }[] = [
  { kind: 'hourly', label: 'Every hour' },
  { kind: 'daily', label: 'Every day' },
  { kind: 'workdays', label: 'Workdays' },
  { kind: 'weekly', label: 'Days of the week' },
  { kind: 'monthly', label: 'Every month' },
  { kind: 'other', label: 'Own expression' },
];

/** Monday first; the number is cron's. */
export const WEEKDAYS: { number: number; short: string; long: string }[] = [
  { number: 1, short: 'Mon', long: 'Monday' },
  { number: 2, short: 'Tue', long: 'Tuesday' },
  { number: 3, short: 'Wed', long: 'Wednesday' },
  { number: 4, short: 'Thu', long: 'Thursday' },
  { number: 5, short: 'Fri', long: 'Friday' },
  { number: 6, short: 'Sat', long: 'Saturday' },
  { number: 0, short: 'Sun', long: 'Sunday' },
];

/** The five fields, in their order. */
export const FIELDS = ['minute', 'hour', 'day of month', 'month', 'day of week'];

const ALIASES: Record<string, string> = {
  '@hourly': '0 * * * *', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@weekly': '0 0 * * 0', '@monthly': '0 0 1 * *',
};

/** The expression of a choice; null for an own one. */
export function compose(choice: Choice): string | null {
  switch (choice.kind) {
    case 'hourly': return `${choice.minute} * * * *`;
    case 'daily': return `${clock(choice.time)} * * *`;
    case 'workdays': return `${clock(choice.time)} * * 1-5`;
    case 'weekly': return `${clock(choice.time)} * * ${choice.days.toSorted(mondayFirst).join(',') || '*'}`;
    case 'monthly': return `${clock(choice.time)} ${choice.date} * *`;
    case 'other': return null;
  }
}

/** The choice that an expression is, `other` if it is none of the common ones. */
export function recognise(expression: string): Choice {
  const text = ALIASES[expression.trim().toLowerCase()] ?? expression;
  const [minute = '', hour = '', date = '', month = '', days = '', ...more] = text.trim().split(/\s+/);
  if (more.length || month !== '*' || !within(minute, 59)) return { kind: 'other' };
  if (hour === '*' && date === '*' && days === '*') return { kind: 'hourly', minute: Number(minute) };
  if (!within(hour, 23)) return { kind: 'other' };
  const time = `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`;
  if (days === '*') return onDate(time, date);
  if (date !== '*') return { kind: 'other' };
  if (days === '1-5') return { kind: 'workdays', time };
  if (!/^[0-6](,[0-6])*$/.test(days)) return { kind: 'other' };
  return { kind: 'weekly', time, days: days.split(',').map(Number) };
}

/** Another kind of choice that keeps what it can of the one before. */
export function turned(kind: Choice['kind'], from: Choice): Choice {
  const time = 'time' in from ? from.time : '09:00';
  switch (kind) {
    case 'hourly': return { kind, minute: Number(time.slice(3)) };
    case 'daily': return { kind, time };
    case 'workdays': return { kind, time };
    case 'weekly': return { kind, time, days: [1] };
    case 'monthly': return { kind, time, date: 1 };
    case 'other': return { kind };
  }
}

function onDate(time: string, date: string): Choice {
  if (date === '*') return { kind: 'daily', time };
  if (date === 'L') return { kind: 'monthly', time, date };
  return /^([1-9]|[12]\d|3[01])$/.test(date) ? { kind: 'monthly', time, date: Number(date) } : { kind: 'other' };
}

const within = (text: string, most: number): boolean => /^\d{1,2}$/.test(text) && Number(text) <= most;
const mondayFirst = (a: number, b: number): number => ((a + 6) % 7) - ((b + 6) % 7);

function clock(time: string): string {
  const [hour = '0', minute = '0'] = time.split(':');
  return `${Number(minute)} ${Number(hour)}`;
}

const NAMES = { months: 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' '), days: 'sun mon tue wed thu fri sat'.split(' ') };

/**
 * Whether an expression fires on a day of the calendar, `2027-03-28`; null for expressions that only the host reads,
 * such as those with L or #. It says nothing of the time of the day.
 */
export function daysOf(expression: string): ((day: string) => boolean) | null {
  const [, , dates = '', months = '', days = '', ...more] = (ALIASES[expression.trim().toLowerCase()] ?? expression).trim().split(/\s+/);
  const onDate = numbersOf(dates, 1, 31, []);
  const inMonth = numbersOf(months, 1, 12, ['', ...NAMES.months]);
  const onDay = numbersOf(days, 0, 7, NAMES.days);
  if (more.length || !onDate || !inMonth || !onDay) return null;
  const both = dates.startsWith('*') || days.startsWith('*');
  return (day) => {
    const at = new Date(`${day}T00:00:00Z`);
    const weekday = at.getUTCDay();
    const [dated, named] = [onDate.has(at.getUTCDate()), onDay.has(weekday) || (weekday === 0 && onDay.has(7))];
    return inMonth.has(at.getUTCMonth() + 1) && (both ? dated && named : dated || named);
  };
}

/** The numbers of one field: lists, ranges, steps, names. null for anything else. */
function numbersOf(field: string, least: number, most: number, names: string[]): Set<number> | null {
  const numberOf = (text: string) => (/^\d+$/.test(text) ? Number(text) : names.indexOf(text.toLowerCase()));
  const found = new Set<number>();
  for (const part of field.split(',')) {
    const [span = '', step = '1', ...more] = part.split('/');
    const [low = '', high, ...beyond] = span === '*' ? [String(least), String(most)] : span.split('-');
    const first = numberOf(low);
    const last = high === undefined ? (part.includes('/') ? most : first) : numberOf(high);
    if (more.length || beyond.length || !/^[1-9]\d*$/.test(step) || first < least || last > most || last < first) return null;
    for (let at = first; at <= last; at += Number(step)) found.add(at);
  }
  return found;
}
