import { describe, expect, it } from 'vitest';
import { between, lastLineOf, piecesOf, refreshed, rowsOf, stateOf, type Part, type SessionRow } from './rows';

const row = (id: string, more: Partial<SessionRow> = {}) => ({ id, status: 'idle', title: null, ...more }) as SessionRow;
const part = (cursor: string | null, ids: string, next: string | null): Part => ({ cursor, next, rows: [...ids].map((id) => row(id)) });
const ids = (parts: readonly Part[]) => parts.map((one) => one.rows.map((r) => r.id).join(''));

/** A host with these sessions, two a page; a cursor is the last id before it. */
function host(all: string) {
  const asked: (string | null)[] = [];
  const read = async (cursor: string | null) => {
    asked.push(cursor);
    const from = cursor === null ? 0 : all.indexOf(cursor) + 1;
    const data = [...all.slice(from, from + 2)].map((id) => row(id));
    return { data, next_cursor: from + 2 < all.length ? (data.at(-1)?.id ?? null) : null };
  };
  return { asked, read };
}

describe('what a row says', () => {
  it('shows that the last run went wrong, unless another one is live', () => {
    const last_run = { id: 'r', status: 'lost', reason: '', finished_at: null };
    expect(stateOf(row('a', { last_run }))).toBe('lost');
    expect(stateOf(row('a', { last_run, status: 'running' }))).toBe('running');
    expect(stateOf(row('a', { last_run: { ...last_run, status: 'cancelled' } }))).toBe('idle');
  });

  it('has one last line', () => {
    expect(lastLineOf(row('a', { last_line: { role: 'user', text: ' two\n lines ' } }))).toBe('two lines');
    expect(lastLineOf(row('a', { last_line: null }))).toBe('');
  });

  it('marks hits by characters, not by halves of them', () => {
    expect(piecesOf('😀 roll back', [[2, 6]])).toEqual([
      { text: '😀 ', hit: false }, { text: 'roll', hit: true }, { text: ' back', hit: false },
    ]);
    expect(piecesOf('abc', [[1, 3], [0, 2]])).toEqual([{ text: 'ab', hit: true }, { text: 'c', hit: false }]);
  });
});

describe('reading again', () => {
  const parts = [part(null, 'ab', 'b'), part('b', 'cd', 'd'), part('d', 'ef', 'f'), part('f', 'g', null)];

  it('reads the first part and one other while nothing moves', async () => {
    const { asked, read } = host('abcdefg');
    expect(ids(await refreshed(parts, read, 1))).toEqual(['ab', 'cd', 'ef', 'g']);
    expect(asked).toEqual([null, 'd']);
  });

  it('misses nothing when a new session moves all others on', async () => {
    const { asked, read } = host('xabcdefg');
    expect(ids(await refreshed(parts, read, 0))).toEqual(['xa', 'bc', 'de', 'fg']);
    expect(asked).toEqual([null, 'a', 'c', 'e']);
  });

  it('drops parts that are gone', async () => {
    const { read } = host('ac');
    expect(ids(await refreshed(parts, read, 0))).toEqual(['ac']);
  });
});

describe('rows', () => {
  it('keeps the value of what is as it was, and each session once', () => {
    const old = [row('a'), row('b')];
    const rows = rowsOf([part(null, 'ab', 'b'), part('b', 'bc', null)], old);
    expect(rows.map((one) => one.id)).toEqual(['a', 'b', 'c']);
    expect(rows[0]).toBe(old[0]);
    expect(rowsOf([{ cursor: null, next: null, rows: [row('a', { title: 'x' })] }], old)[0]).toEqual(row('a', { title: 'x' }));
  });

  it('spans a range in either direction', () => {
    const rows = [...'abcd'].map((id) => row(id));
    expect(between(rows, 'c', 'a')).toEqual(['a', 'b', 'c']);
    expect(between(rows, 'gone', 'b')).toEqual(['b']);
  });
});
