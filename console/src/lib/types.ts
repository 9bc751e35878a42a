// What the host answers, as far as the console reads it. Names are those of the HTTP contract.

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** One event of a journal. */
export interface Envelope {
  seq: number;
  at: string;
  type: string;
  run_id: string | null;
  data: Record<string, unknown>;
}

/** A page of a journal; `scanned` tells which numbers it covers, since a brief one leaves deltas out. */
export interface EventPage {
  data: Envelope[];
  head_seq: number;
  gap?: { after: number; min_available: number };
  scanned?: { first: number; last: number };
}

export type Role = 'admin' | 'operator' | 'member' | 'viewer';

export interface WhoAmI {
  tenant: string;
  user: string;
  role: Role;
  key_id: string;
  root: boolean;
  history: string;
  session?: string | null;
}

export type SessionStatus = 'idle' | 'running' | 'waiting' | 'closed';

export interface PendingApproval {
  id: string;
  tool: string;
  call_id: string;
  arguments: Record<string, unknown>;
  expires_at: string;
}

export interface Spent {
  input_tokens: number;
  output_tokens: number;
  cost: number | null;
}

export interface SessionInfo {
  id: string;
  agent: string;
  tenant: string;
  owner: string;
  title: string | null;
  labels: Record<string, string>;
  conversation: Record<string, string> | null;
  status: SessionStatus;
  run_id: string | null;
  head_seq: number;
  message_count: number;
  queue_held: boolean;
  pending_approvals: PendingApproval[];
  usage: Spent;
  created_at: string;
  updated_at: string;
  as_of_seq: number;
}

export type Part = { type: 'text'; text: string } | { type: 'file'; file_id: string };
export type Content = string | Part[];

/** A message of the transcript, or one that waits. */
export interface TranscriptItem {
  message_id: string;
  role: string;
  content: Content;
  run_id: string | null;
  status: string;
  seq: number;
  actor?: string | null;
  queue_position?: number | null;
}

export interface TranscriptPage {
  data: TranscriptItem[];
  waiting: TranscriptItem[];
  queue_held: boolean;
  as_of_seq: number;
  next_cursor: string | null;
}

export type WhenBusy = 'queue' | 'steer' | 'interrupt' | 'rollback' | 'reject' | 'latest' | 'merge';

export interface MessageReceipt {
  message_id: string;
  run_id: string | null;
  disposition: 'started' | 'queued' | 'steered' | 'merged';
  queue_position: number;
  seq: number;
  fallback?: string;
}

export type RunStatus =
  | 'queued' | 'running' | 'waiting' | 'interrupting'
  | 'completed' | 'failed' | 'cancelled' | 'timed_out' | 'lost';

export interface Usage {
  model: string;
  input_tokens: number;
  output_tokens: number;
  cost?: number | null;
}

export interface RunInfo {
  id: string;
  session_id: string;
  agent: string;
  status: RunStatus;
  reason: string;
  retryable: boolean;
  attempt: number;
  message_id: string | null;
  grant: Record<string, unknown>;
  grant_digest: string;
  usage: Usage[];
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface ApprovalInfo {
  id: string;
  session_id: string;
  run_id: string;
  call_id: string;
  tool: string;
  arguments: Record<string, unknown>;
  digest: string;
  status: 'pending' | 'granted' | 'denied' | 'expired' | 'withdrawn';
  requested_at: string;
  expires_at: string;
  reason?: string | null;
  done?: string[];
  decision?: string | null;
  by?: string | null;
  note?: string | null;
  resolved_at?: string | null;
  remember?: string | null;
  own?: boolean;
}

export interface Capabilities {
  [name: string]: boolean;
}

export interface ToolTerms {
  name: string;
  description?: string;
  [term: string]: unknown;
}

export interface AgentInfo {
  name: string;
  runner: string;
  description: string;
  capabilities: Capabilities;
  apis: string[];
  deadline_s: number | null;
  healthy: boolean;
  fault?: string | null;
  tools: ToolTerms[];
  tools_absent: string[];
  resources: Record<string, string[]>;
  operations: Record<string, string[]>;
  storage: string[];
  state_scopes: string[];
}

/** The text of a message; parts are joined by line breaks, as the host joins them. */
export function textOf(content: Content): string {
  if (typeof content === 'string') return content;
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

/** The files that a message refers to. */
export function filesOf(content: Content): string[] {
  if (typeof content === 'string') return [];
  return content.flatMap((part) => (part.type === 'file' ? [part.file_id] : []));
}
