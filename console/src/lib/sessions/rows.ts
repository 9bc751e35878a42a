// The rows of the sessions' list: what the host says of each, and what the list makes of it.

import type { Page, SessionInfo } from '../types';

export interface LastRun {
  id: string;
  status: string;
  reason: string;
  finished_at: string | null;
}

/** Where the words that were searched for stand. `marks` count characters of `text`. */
export interface Found {
  message_id: string | null;
  text: string;
  marks: readonly (readonly [number, number])[];
}

export interface LastLine {
  role: string;
  text: string;
}

/** A session as the list shows it. */
export interface SessionRow extends SessionInfo {
  last_run?: LastRun | null;
  last_line?: LastLine | string | null;
  found?: Found | null;
}

const BAD_ENDS = new Set(['failed', 'timed_out', 'lost']);

/** The state to show: an idle session whose last run went wrong says so. */
export function stateOf(row: SessionRow): string {
  const end = row.last_run?.status;
  return row.status === 'idle' && end && BAD_ENDS.has(end) ? end : row.status;
}

/** What to call a session. */
export function nameOf(row: Pick<SessionRow, 'title'>): string {
  return row.title?.trim() || 'Untitled';
}

/** Its last line, in one line. */
export function lastLineOf(row: SessionRow): string {
  const line = row.last_line;
  const text = typeof line === 'string' ? line : (line?.text ?? '');
  return text.replace(/\s+/g, ' ').trim();
}

export interface Piece {
  text: string;
  hit: boolean;
}

/** A text in pieces, the marked ones apart. Marks count characters, not the halves that JavaScript counts. */
export function piecesOf(text: string, marks: Found['marks']): Piece[] {
  const letters = Array.from(text);
  const pieces: Piece[] = [];
  let at = 0;
  for (const [from, to] of [...marks].sort((a, b) => a[0] - b[0])) {
    if (from < at) continue;
    if (from > at) pieces.push({ text: letters.slice(at, from).join(''), hit: false });
    pieces.push({ text: letters.slice(from, to).join(''), hit: true });
    at = to;
  }
  if (at < letters.length) pieces.push({ text: letters.slice(at).join(''), hit: false });
  return pieces.filter((piece) => piece.text !== '');
}

/** A part of the list, as it was last read. */
export interface Part {
  cursor: string | null;
  rows: readonly SessionRow[];
  next: string | null;
}

export type ReadPart = (cursor: string | null) => Promise<Page<SessionRow>>;

/**
 * Read the list anew: its first part always, those behind it as long as they begin elsewhere than before,
 * and of the rest the one whose turn it is. So nothing is missed between two parts, and a long list costs
 * two requests.
 */
export async function refreshed(parts: readonly Part[], read: ReadPart, turn: number): Promise<Part[]> {
  const now = [...parts];
  const again = async (index: number, cursor: string | null) => {
    const page = await read(cursor);
    const moved = now[index]?.next !== page.next_cursor;
    now[index] = { cursor, rows: page.data, next: page.next_cursor };
    return moved;
  };
  let index = 0;
  let moved = await again(0, null);
  while (moved && index + 1 < now.length) {
    const cursor = now[index]?.next ?? null;
    index += 1;
    if (cursor === null) {
      now.length = index;
      break;
    }
    moved = await again(index, cursor);
  }
  const rest = now.length - 1 - index;
  const one = rest > 0 ? now[index + 1 + (turn % rest)] : undefined;
  if (one) await again(now.indexOf(one), one.cursor);
  return now;
}

/** The rows of all parts, each session once. A row that is as it was stays the very same value. */
export function rowsOf(parts: readonly Part[], before: readonly SessionRow[]): SessionRow[] {
  const known = new Map(before.map((row) => [row.id, row]));
  const rows = new Map<string, SessionRow>();
  for (const row of parts.flatMap((part) => part.rows)) {
    const old = known.get(row.id);
    if (!rows.has(row.id)) rows.set(row.id, old && sameRow(old, row) ? old : row);
  }
  return [...rows.values()];
}

function sameRow(one: SessionRow, other: SessionRow): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The ids from one row to another, whichever comes first. */
export function between(rows: readonly SessionRow[], from: string, to: string): string[] {
  const at = [from, to].map((id) => rows.findIndex((row) => row.id === id));
  if (at.includes(-1)) return [to];
  return rows.slice(Math.min(...at), Math.max(...at) + 1).map((row) => row.id);
}
