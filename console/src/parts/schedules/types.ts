// What the host answers about schedules. Names are those of the HTTP contract.

import type { Content } from '../../lib/types';

export type ScheduleStatus = 'active' | 'paused' | 'done' | 'cancelled';

export interface OccurrenceInfo {
  id: string;
  schedule_id: string;
  due_at: string;
  state: 'due' | 'admitted' | 'skipped' | 'missed';
  reason: string | null;
  manual: boolean;
  session_id: string | null;
  message_id: string | null;
  run_id: string | null;
  outcome: string | null;
  attempts: number;
  retry_at: string | null;
  seen_at: string | null;
}

export interface Policies {
  missed: 'once' | 'all' | 'skip';
  missed_max: number;
  overlap: 'queue' | 'skip';
  jitter_s: number;
  max_runs: number | null;
  ends_at: string | null;
  retries: number;
  backoff_s: number;
  pause_after_failures: number;
}

export interface ScheduleInfo extends Policies {
  id: string;
  session_id: string | null;
  agent: string;
  tenant: string;
  owner: string;
  name: string | null;
  kind: 'task' | 'reminder';
  message: Content;
  status: ScheduleStatus;
  reason: string | null;
  next_at: string | null;
  explanation: string;
  at: string | null;
  every_s: number | null;
  anchor: string | null;
  cron: string | null;
  timezone: string | null;
  runs: number;
  failures: number;
  made_by: string | null;
  last: OccurrenceInfo | null;
  created_at: string;
  updated_at: string;
}

export interface Preview {
  explanation: string;
  next: string[];
  warnings: string[];
}
