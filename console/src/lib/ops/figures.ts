// Turns the host's figures into what tiles and charts show.

import { brief, bytes, count, duration } from '../clock.svelte';
import type { LimitStanding, Series, Stats } from './types';

export type Unit = 'count' | 'per_s' | 'ms' | 'bytes';

/** A figure in words: "1,204", "12.3K/s", "3.2 ms", "40 MB". */
export function worded(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined) return '–';
  if (unit === 'ms') return value < 10 ? `${value.toFixed(1)} ms` : duration(value);
  if (unit === 'bytes') return bytes(value);
  if (unit === 'per_s') return `${value >= 1_000 ? brief(value) : value >= 10 ? Math.round(value) : round(value)}/s`;
  return value >= 100_000 ? brief(value) : count(round(value));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export interface TileFigure {
  label: string;
  unit: Unit;
  /** The figure now. */
  now: (stats: Stats) => number | null;
  /** Its column over time, for the small line. */
  series: string;
  means: string;
}

export const TILES: TileFigure[] = [
  { label: 'Open sessions', unit: 'count', now: (s) => s.open_sessions, series: 'open_sessions', means: 'Sessions that are open, in the whole installation.' },
  { label: 'Live runs', unit: 'count', now: (s) => s.live_runs, series: 'live_runs', means: 'Runs that are running, or wait for a person.' },
  { label: 'Waiting for a slot', unit: 'count', now: (s) => s.queued_runs, series: 'queued_runs', means: 'Runs that start as soon as a slot is free.' },
  { label: 'Clients', unit: 'count', now: (s) => s.streams, series: 'streams', means: 'Screens and programs that follow a session on this host.' },
  { label: 'Events', unit: 'per_s', now: () => null, series: 'events_per_s', means: 'Events added to journals, per second.' },
  { label: 'Commit, p99', unit: 'ms', now: (s) => s.commit_p99_ms, series: 'commit_p99_ms', means: 'How long the latest commits took, all but the slowest hundredth.' },
  { label: 'Recalls late, p99', unit: 'ms', now: (s) => s.recall_p99_ms, series: 'recall_p99_ms', means: 'How late the latest recalls were that came on time.' },
  { label: 'Event loop late', unit: 'ms', now: (s) => s.loop_lag_ms, series: 'loop_lag_ms', means: 'How long the host’s event loop was held up. Over 50 ms, something blocks it.' },
  { label: 'Storage', unit: 'bytes', now: (s) => s.database_bytes ?? null, series: 'database_bytes', means: 'What the database takes on its disk.' },
];

export interface ChartPlan {
  title: string;
  unit: Unit;
  lines: { label: string; series: string; tone: 'ink' | 'teal' | 'brass' | 'red' | 'soft' }[];
}

export const CHARTS: ChartPlan[] = [
  { title: 'Runs', unit: 'count', lines: [
    { label: 'Live', series: 'live_runs', tone: 'teal' },
    { label: 'Waiting for a slot', series: 'queued_runs', tone: 'brass' },
  ] },
  { title: 'Throughput', unit: 'per_s', lines: [
    { label: 'Events', series: 'events_per_s', tone: 'ink' },
    { label: 'Commits', series: 'commits_per_s', tone: 'teal' },
    { label: 'Requests', series: 'requests_per_s', tone: 'soft' },
  ] },
  { title: 'Latency', unit: 'ms', lines: [
    { label: 'Commit, p50', series: 'commit_p50_ms', tone: 'teal' },
    { label: 'Commit, p99', series: 'commit_p99_ms', tone: 'ink' },
    { label: 'Event loop late', series: 'loop_lag_ms', tone: 'brass' },
  ] },
  { title: 'Runs ended', unit: 'per_s', lines: [
    { label: 'Completed', series: 'runs_completed_per_s', tone: 'ink' },
    { label: 'Failed', series: 'runs_failed_per_s', tone: 'red' },
    { label: 'Stopped', series: 'runs_cancelled_per_s', tone: 'soft' },
    { label: 'Timed out', series: 'runs_timed_out_per_s', tone: 'brass' },
  ] },
];

/** The last value that is known, if any. */
export function latest(column: readonly (number | null)[] | undefined): number | null {
  return column?.findLast((value) => value !== null) ?? null;
}

/** A chart's content as a sentence, for those who can't see it. */
export function spoken(plan: ChartPlan, series: Series): string {
  return plan.lines
    .map(({ label, series: name }) => {
      const known = (series.series[name] ?? []).filter((value) => value !== null);
      if (!known.length) return `${label}: unknown`;
      return `${label}: now ${worded(known.at(-1), plan.unit)}, between ${worded(Math.min(...known), plan.unit)} and ${worded(Math.max(...known), plan.unit)}`;
    })
    .join('. ');
}

/** Points of a small line in a box of `width` by `height`; unknown values leave a gap. */
export function sparkline(column: readonly (number | null)[], width: number, height: number): string {
  const known = column.filter((value) => value !== null);
  const most = Math.max(...known, 1e-9);
  const step = width / Math.max(1, column.length - 1);
  let pen = 'M';
  return column
    .map((value, at) => {
      if (value === null) {
        pen = 'M';
        return '';
      }
      const point = `${pen}${(at * step).toFixed(1)} ${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`;
      pen = 'L';
      return point;
    })
    .join('');
}

const LIMITS: Record<string, string> = {
  open_sessions: 'Open sessions',
  open_sessions_per_user: 'Open sessions of one user',
  live_runs: 'Live runs',
  live_runs_per_user: 'Live runs of one user',
  queued_messages_per_session: 'Waiting messages of one session',
  schedules_per_user: 'Schedules of one user',
  streams_per_user: 'Open streams of one user',
  commands_per_minute: 'Commands a minute of one user',
  held_runs: 'Waiting runs held in memory',
  files_per_session: 'Files of one session',
  files_bytes_per_session: 'Bytes of the files of one session',
  approval_ttl_s: 'Time to decide an approval',
  hold_s: 'Time that a waiting run is held in memory',
};

/** A limit by the words of the console; one that it doesn't know keeps its name. */
export function limitWords(name: string): string {
  return LIMITS[name] ?? name.replaceAll('_', ' ');
}

/** A limit's number with its unit: seconds and bytes are told as such. */
export function limitNumber(name: string, value: number): string {
  if (name.endsWith('_s')) return duration(value * 1_000);
  return name.includes('bytes') ? bytes(value) : count(value);
}

/** How full a limit is, from 0 to 1; null where nothing is counted or nothing is limited. */
export function fullness({ limit, current }: LimitStanding): number | null {
  if (limit === null || current === null) return null;
  return limit <= 0 ? 1 : Math.min(1, current / limit);
}
