import { describe, expect, it } from 'vitest';
import { doToAll } from './deeds';
import type { SessionRow } from './rows';

const rows = [...'abcdefgh'].map((id) => ({ id, title: id === 'c' ? null : `The ${id}` }) as SessionRow);

describe('a deed for many', () => {
  it('goes on past refusals and tells each', async () => {
    const told: number[] = [];
    const refusing = async (row: SessionRow) => {
      await Promise.resolve();
      if ('cf'.includes(row.id)) throw new Error(`${row.id} is closed.`);
    };
    expect(await doToAll(rows, refusing, (n) => told.push(n), new AbortController().signal)).toEqual({
      done: 6,
      refused: [{ id: 'c', title: 'Untitled', why: 'c is closed.' }, { id: 'f', title: 'The f', why: 'f is closed.' }],
    });
    expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('does a few at a time, and stops when told to', async () => {
    const over = new AbortController();
    let most = 0;
    let live = 0;
    const slow = async () => {
      most = Math.max(most, (live += 1));
      await new Promise((done) => setTimeout(done));
      live -= 1;
    };
    const outcome = await doToAll(rows, slow, (n) => n === 4 && over.abort(), over.signal);
    expect(most).toBe(4);
    expect(outcome.done).toBeLessThan(rows.length);
  });
});
