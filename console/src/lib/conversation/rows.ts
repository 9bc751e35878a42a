// Lines of a thread gathered into what is shown as one: undone turns and superseded attempts are folded away,
// changes of state that follow each other become one line.

import { textOf } from '../types';
import type { Item, NoteLine } from './items';

export type Row =
  /** `leads`: whoever said or did it is named above it. */
  | { kind: 'line'; key: string; seq: number; item: Item; leads: boolean }
  | { kind: 'states'; key: string; seq: number; items: NoteLine[] }
  | { kind: 'undone'; key: string; seq: number; items: Item[]; turns: number }
  /** `retried` is the line that says why the run started over. */
  | { kind: 'attempt'; key: string; seq: number; items: Item[]; retried: NoteLine | null };

export function rowsOf(items: readonly Item[]): Row[] {
  const rows: Row[] = [];
  for (const item of items) {
    const last = rows.at(-1);
    const kind = kindOf(item);
    if (last?.kind === 'attempt' && item.kind === 'note' && item.type === 'run.retried' && !item.undone) last.retried = item;
    else if (kind === 'line') rows.push(lineOf(item, leads(rows, item)));
    else if (kind === 'undone') undo(rows, last, item);
    else if (kind === 'attempt') {
      if (last?.kind === 'attempt' && last.items[0]?.runId === item.runId) last.items.push(item);
      else rows.push({ kind, key: `attempt:${item.key}`, seq: item.seq, items: [item], retried: null });
    } else if (last?.kind === 'states') last.items.push(item as NoteLine);
    else rows.push({ kind, key: `states:${item.key}`, seq: item.seq, items: [item as NoteLine] });
  }
  return rows;
}

type LineRow = Extract<Row, { kind: 'line' }>;
const lines = new WeakMap<Item, LineRow>();

/** The row of a line. It is the same value as long as the line is, so that only what changed is drawn again. */
function lineOf(item: Item, leads: boolean): LineRow {
  const known = lines.get(item);
  if (known?.leads === leads) return known;
  const row: LineRow = { kind: 'line', key: item.key, seq: item.seq, item, leads };
  lines.set(item, row);
  return row;
}

function kindOf(item: Item): Row['kind'] {
  if (item.undone) return 'undone';
  if (item.superseded) return 'attempt';
  if (item.kind === 'note' && item.type === 'state.updated') return 'states';
  return 'line';
}

/** People are named at each message, the agent at the first thing it does or says in a turn. */
function leads(rows: readonly Row[], item: Item): boolean {
  if (item.kind !== 'message' && item.kind !== 'reasoning' && item.kind !== 'call') return false;
  if (item.kind === 'message' && item.role === 'user') return true;
  for (let at = rows.length - 1; at >= 0; at -= 1) {
    const row = rows[at];
    if (row?.kind !== 'line') continue;
    const before = row.item;
    if (before.kind === 'end' || (before.kind === 'message' && before.role === 'user')) return true;
    if (before.kind === 'message' || before.kind === 'reasoning' || before.kind === 'call') return before.runId !== item.runId;
  }
  return true;
}

function undo(rows: Row[], last: Row | undefined, item: Item): void {
  if (last?.kind !== 'undone') {
    rows.push({ kind: 'undone', key: `undone:${item.key}`, seq: item.seq, items: [item], turns: 1 });
    return;
  }
  if (!last.items.some((one) => one.runId === item.runId)) last.turns += 1;
  last.items.push(item);
}

/** The number of the last event that a row shows. */
export function lastSeqOf(row: Row): number {
  const item = row.kind === 'line' ? row.item : ((row.kind === 'attempt' && row.retried) || row.items.at(-1));
  if (!item) return row.seq;
  return item.kind === 'message' ? item.lastSeq : item.seq;
}

/** The row that shows an event: the last one that begins at or before it. -1 if none does. */
export function rowAt(rows: readonly Row[], seq: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle] as Row).seq <= seq) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const LINE = 24;
const LETTERS = 84;

/** About how high a row will be, before it is drawn. */
export function heightOf(row: Row): number {
  if (row.kind !== 'line') return 32;
  const { item } = row;
  if (item.kind === 'call') return item.question ? 96 : 42;
  if (item.kind === 'file') return 46;
  if (item.kind !== 'message') return 32;
  const text = textOf(item.content);
  const breaks = text.length > 20_000 ? 0 : text.split('\n').length - 1;
  return LINE * (Math.ceil(text.length / LETTERS) + breaks) + (row.leads ? 44 : 8);
}
