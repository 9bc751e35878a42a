// How an agent did lately: its runs of the last day, as far as one page goes.

import { get } from '../../lib/api';
import type { Page, RunInfo } from '../../lib/types';

export interface Fault {
  agent: string;
  status: string;
  reason: string;
  count: number;
  latest_at: string;
  latest_run_id: string;
}

export interface Record24 {
  /** Runs that ended, and how many of them completed. */
  ended: number;
  completed: number;
  live: number;
  /** Half of those that ended took no longer, in milliseconds. */
  medianMs: number | null;
  /** There were more than are counted. */
  more: boolean;
}

const DAY_MS = 86_400_000;
const MOST = 200;
const LIVE = new Set(['queued', 'running', 'waiting', 'interrupting']);

export const since = (): string => new Date(Date.now() - DAY_MS).toISOString();

export async function recordOf(agent: string, signal: AbortSignal): Promise<Record24> {
  const page = await get<Page<RunInfo>>('/v1/runs', { agent, since: since(), limit: MOST }, signal);
  return counted(page.data, page.next_cursor !== null);
}

/** Count runs. Those that somebody stopped ended, but neither well nor badly. */
export function counted(runs: RunInfo[], more: boolean): Record24 {
  const over = runs.filter((run) => !LIVE.has(run.status) && run.status !== 'cancelled');
  const took = over
    .flatMap((run) => (run.started_at && run.finished_at ? [Date.parse(run.finished_at) - Date.parse(run.started_at)] : []))
    .sort((a, b) => a - b);
  return {
    ended: over.length, completed: over.filter((run) => run.status === 'completed').length,
    live: runs.filter((run) => LIVE.has(run.status)).length, medianMs: took[Math.floor((took.length - 1) / 2)] ?? null, more,
  };
}
