import { describe, expect, it } from 'vitest';
import { best, rank } from './rank';

describe('rank', () => {
  it('puts a beginning before a word, a word before a part', () => {
    const all = ['Nothing to see', 'Assession', 'New session', 'Sessions'];
    expect(best('sess', all, (one) => one)).toEqual(['Sessions', 'New session', 'Assession']);
  });

  it('takes initials', () => {
    expect(best('ns', ['Sessions', 'New session', 'Sign out'], (one) => one)[0]).toBe('New session');
  });

  it('minds neither case nor accents, and takes any character as itself', () => {
    expect(rank('CAFE', 'Café table')).not.toBeNull();
    expect(rank('(a*', 'x (a*b)')).not.toBeNull();
    expect(rank('close or', 'Close or reopen it')).not.toBeNull();
    expect(rank('a-b/c', 'x a-b/c')).not.toBeNull();
    expect(rank('zz', 'Sessions')).toBeNull();
  });

  it('keeps the order where nothing is typed', () => {
    expect(best('', ['b', 'a'], (one) => one)).toEqual(['b', 'a']);
  });
});
