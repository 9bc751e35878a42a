// The time, for words like "3 minutes ago". One timer for the whole console, and none while nobody looks.

/** The host tells its time to the second, and an answer takes a while: less than this is no difference. */
const SAME_MS = 3_000;

class Clock {
  /** The time as the host has it, by which whatever is shown was written. */
  now = $state(Date.now());
  /** How far this browser's clock is behind the host's, in milliseconds. */
  #behind = 0;

  /** The time by this browser's own clock, for what it waits for itself. */
  get here(): number {
    return this.now - this.#behind;
  }

  /** Learn the host's time from an answer that came just now. */
  hear(date: string | null): void {
    const off = date === null ? Number.NaN : Date.parse(date) - Date.now();
    if (Number.isNaN(off) || Math.abs(off - this.#behind) < SAME_MS) return;
    this.#behind = Math.abs(off) < SAME_MS ? 0 : off;
    this.now = Date.now() + this.#behind;
  }

  start(): () => void {
    const tick = () => {
      if (!document.hidden) this.now = Date.now() + this.#behind;
    };
    const timer = setInterval(tick, 1_000);
    document.addEventListener('visibilitychange', tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  }
}

export const clock = new Clock();

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'narrow' });
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3_600], ['minute', 60],
];

/** What has passed counts when it is whole; what is to come is told as it was promised: 23.99 hours are 24. */
const whole = (n: number): number => (n < 0 ? Math.trunc(n) : Math.round(n));

/** "5 min ago", "in 2 hr", "now". */
export function ago(at: string | number, now: number): string {
  const seconds = (new Date(at).getTime() - now) / 1_000;
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return relative.format(whole(seconds / length), unit);
  }
  return Math.abs(seconds) < 10 ? 'now' : relative.format(Math.trunc(seconds), 'second');
}

const exactly = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
});
const oClock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** The exact instant, in this browser's zone. */
export const exact = (at: string | number): string => exactly.format(new Date(at));
/** "14:02". */
export const timeOfDay = (at: string | number): string => oClock.format(new Date(at));

/** "340 ms", "3.2 s", "4 min 10 s", "2 h 5 min". */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat('en');
/** 1,204. */
export const count = (n: number): string => plain.format(n);
/** 12.3K. */
export const brief = (n: number): string => compact.format(n);
/** "12 KB". */
export function bytes(n: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let at = 0;
  while (n >= 1_024 && at < units.length - 1) {
    n /= 1_024;
    at += 1;
  }
  return `${at === 0 || n >= 10 ? Math.round(n) : n.toFixed(1)} ${units[at]}`;
}
