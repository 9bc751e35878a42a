import { expect, it } from 'vitest';
import { firstWords } from './title';

it('is the first line', () => expect(firstWords('  Rotate the keys\nof staging ')).toBe('Rotate the keys'));
it('is nothing where nothing was said', () => expect(firstWords(' \n ')).toBe(''));
it('ends between words where it is long', () => {
  expect(firstWords('word '.repeat(40))).toBe(`${'word '.repeat(15).trim()}…`);
});
it('cuts a word that is all there is, and no letter in two', () => {
  expect([...firstWords('😀'.repeat(100))]).toHaveLength(80);
});
