// What the run inspector reads: a run with its grant, and runs in a list over sessions.

import type { RunInfo } from '../types';

export interface ToolOfGrant {
  name: string;
  source?: string;
  approval?: { always?: boolean; [condition: string]: unknown };
  replay?: string;
  role?: string;
}

export interface Grant {
  agent: string;
  runner: string;
  author: { tenant: string; user: string; role: string };
  apis: string[];
  deadline_s: number | null;
  idle_s: number | null;
  max_output_bytes: number;
  max_attempts: number;
  tools?: ToolOfGrant[];
  resources?: Record<string, string[]>;
  operations?: Record<string, string[]>;
  storage?: string[];
  state?: { enabled?: boolean; scopes?: string[] };
  budget?: { tokens?: number | null; cost?: number | null; tool_calls?: number | null; scope?: string; ask_at?: number | null } | null;
}

export interface InspectedRun extends Omit<RunInfo, 'grant'> {
  grant: Grant;
}

export interface ListedRun extends RunInfo {
  session_title: string | null;
  session_owner: string;
}

export const LIVE = new Set(['queued', 'running', 'waiting', 'interrupting']);
export const isLive = (run: { status: string }): boolean => LIVE.has(run.status);
