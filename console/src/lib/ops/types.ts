// What the host tells those who run it.

export interface HostInfo {
  id: number;
  name: string;
  version: string;
  slots: number;
  live_runs: number;
  draining: boolean;
  joined_at: string;
  renewed_at: string;
  lease_left_s: number | null;
  /** The host that answered. */
  self: boolean;
}

export interface Stats {
  sessions: number;
  open_sessions: number;
  live_runs: number;
  queued_runs: number;
  streams: number;
  events: number;
  schedules: Record<string, number>;
  recalls: number;
  recall_p50_ms: number;
  recall_p99_ms: number;
  commits: number;
  commit_p50_ms: number;
  commit_p99_ms: number;
  loop_lag_ms: number;
  uptime_s: number;
  version: string;
  history: string;
  draining: boolean;
  hosts: HostInfo[];
  database_bytes?: number | null;
  wal_bytes?: number | null;
}

/** Columns over time: `series[name][i]` belongs to the step that begins at `at[i]`; null is unknown. */
export interface Series {
  host: number | null;
  step_s: number;
  at: string[];
  series: Record<string, (number | null)[]>;
}

export interface LimitStanding {
  name: string;
  scope: 'global' | 'per_user' | 'per_session';
  limit: number | null;
  current: number | null;
  tenant?: string | null;
  user?: string | null;
  session_id?: string | null;
}

export interface UserLoad {
  tenant: string;
  user: string;
  open_sessions: number;
  live_runs: number;
  queued_runs: number;
  schedules: number;
  streams: number;
}

export interface Capacity {
  limits: LimitStanding[];
  users: UserLoad[];
}
