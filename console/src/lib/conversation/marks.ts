// What stands out on the spine of a journal: who spoke, what was called and asked, how runs ended.

import { textOf } from '../types';
import type { Item } from './items';

export type MarkKind =
  | 'said' | 'answered' | 'called' | 'asked' | 'decided' | 'recalled' | 'undone' | 'failed' | 'stopped' | 'filed' | 'noted';

export interface SpineMark {
  seq: number;
  kind: MarkKind;
  label: string;
}

/** Where two marks fall on the same line of the screen, the one farther down here is seen. */
export const ORDER: MarkKind[] = [
  'noted', 'filed', 'called', 'answered', 'said', 'decided', 'recalled', 'stopped', 'undone', 'failed', 'asked',
];

export function marksOf(items: readonly Item[]): SpineMark[] {
  const marks: SpineMark[] = [];
  for (const item of items) {
    const kind = kindOf(item);
    if (kind === null) continue;
    const { seq } = item;
    marks.push({ seq, kind, label: labelOf(item) });
    if (item.kind === 'call' && item.question) {
      const { decision, seq: asked } = item.question;
      marks.push({ seq: asked, kind: decision === null ? 'asked' : 'decided', label: decision === null ? `${item.tool} waits for you` : `${item.tool} was asked for` });
    }
  }
  return marks.sort((a, b) => a.seq - b.seq);
}

const NOTED: Record<string, MarkKind> = {
  'transcript.undone': 'undone', 'transcript.redone': 'undone', 'transcript.compacted': 'noted', 'session.forked': 'noted',
  'session.closed': 'noted', 'session.reopened': 'noted', 'session.created': 'noted', 'recall.scheduled': 'recalled',
};

function kindOf(item: Item): MarkKind | null {
  switch (item.kind) {
    case 'message':
      return item.recall ? 'recalled' : item.role === 'user' ? 'said' : 'answered';
    case 'call':
      return 'called';
    case 'file':
      return 'filed';
    case 'end':
      return item.status === 'cancelled' ? 'stopped' : 'failed';
    case 'note':
      return NOTED[item.type] ?? null;
    default:
      return null;
  }
}

function labelOf(item: Item): string {
  switch (item.kind) {
    case 'message':
      return textOf(item.content).slice(0, 80) || 'A message';
    case 'call':
      return item.tool;
    case 'file':
      return item.name;
    case 'end':
      return item.status === 'cancelled' ? 'Stopped' : 'Failed';
    case 'note':
      return item.type.replace(/^[a-z]+\./, '');
    default:
      return '';
  }
}

/** The mark at or next to a number in one direction; null beyond the last. */
export function neighbour(marks: readonly SpineMark[], seq: number, by: 1 | -1): SpineMark | null {
  if (by > 0) return marks.find((mark) => mark.seq > seq) ?? null;
  return marks.findLast((mark) => mark.seq < seq) ?? null;
}

/** The mark nearest to a number, the last that isn't beyond it if it is within reach, for words about a place. */
export function markAt(marks: readonly SpineMark[], seq: number): SpineMark | null {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[middle] as SpineMark).seq <= seq) low = middle + 1;
    else high = middle;
  }
  return marks[low - 1] ?? null;
}
