// Files of a session, and what may be read of a session beside its journal.

/** One file of a session: `by` sent it, or `run_id` made it. `size` counts bytes. */
export interface FileInfo {
  id: string;
  name: string;
  media_type: string;
  size: number;
  sha256: string;
  kind: 'upload' | 'artifact';
  by: string | null;
  run_id: string | null;
  created_at: string;
}

export interface StateValue {
  scope: string;
  key: string;
  value: unknown;
  version: number;
  expires_at?: string | null;
}

/** A link by which anybody reads one session. `url` is told once, when it is made. */
export interface ShareInfo {
  id: string;
  session_id: string;
  by: string;
  status: 'active' | 'expired' | 'revoked';
  created_at: string;
  expires_at: string;
  url?: string;
}

/** What an undo takes off, or would. */
export interface UndoReceipt {
  run_ids: string[];
  message_ids: string[];
  to_seq: number;
  kept: string[];
  dry_run: boolean;
  pending: boolean;
  interrupts: string | null;
  seq: number;
}

/** What may be spent: tokens of both directions, money, tool calls. */
export interface Budget {
  tokens: number | null;
  cost: number | null;
  tool_calls: number | null;
  scope: 'run' | 'session' | 'user_day';
  ask_at: number | null;
}
