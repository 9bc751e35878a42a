// What differs between two texts, line by line, for a person who is to see what they changed.

export interface DiffLine {
  kind: 'same' | 'gone' | 'new';
  text: string;
}

/** Lines beyond this many are told as all gone and all new: nobody reads a longer difference. */
const MOST = 1_000;

export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  const whole = a.length > MOST || b.length > MOST;
  const lengths = whole ? [] : table(a, b);
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length && !whole) {
    if (a[i] === b[j]) {
      lines.push({ kind: 'same', text: a[i++] ?? '' });
      j += 1;
    } else if ((lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0)) lines.push({ kind: 'gone', text: a[i++] ?? '' });
    else lines.push({ kind: 'new', text: b[j++] ?? '' });
  }
  for (; i < a.length; i += 1) lines.push({ kind: 'gone', text: a[i] ?? '' });
  for (; j < b.length; j += 1) lines.push({ kind: 'new', text: b[j] ?? '' });
  return lines;
}

/** The length of the longest common part of what follows each pair of lines. */
function table(a: string[], b: string[]): Uint16Array[] {
  const rows = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    const row = rows[i] as Uint16Array;
    const below = rows[i + 1] as Uint16Array;
    for (let j = b.length - 1; j >= 0; j -= 1) row[j] = a[i] === b[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
  }
  return rows;
}
