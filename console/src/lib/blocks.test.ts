// Markdown that grows, what changed in arguments, and arguments as they are typed.

import { describe, expect, it } from 'vitest';
import { Growing } from './blocks';
import { fieldsOf, parsed } from './conversation/asked';
import { diffLines } from './diff';

const TEXT = '# Title\n\nA paragraph\nof two lines.\n\n- one\n\n- two\n  with more\n\n```py\n# not a title\n\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nLast.';

describe('Markdown that is still being said', () => {
  it('loses nothing however it comes', () => {
    for (let size = 1; size < 12; size += 1) {
      const growing = new Growing();
      for (let at = size; at < TEXT.length + size; at += size) {
        growing.take(TEXT.slice(0, at), false);
        expect(growing.done.join('') + growing.rest).toBe(TEXT.slice(0, at));
      }
      growing.take(TEXT, true);
      expect(growing.done.join('') + growing.rest).toBe(TEXT);
    }
  });

  it('never changes a piece that is finished, and cuts no block', () => {
    const growing = new Growing();
    let before: string[] = [];
    for (let at = 1; at <= TEXT.length; at += 1) {
      growing.take(TEXT.slice(0, at), false);
      expect(growing.done.slice(0, before.length)).toEqual(before);
      before = growing.done;
    }
    expect(before.find((piece) => piece.includes('```'))).toContain('x = 1\n```');
    expect(before.length).toBeGreaterThan(3);
  });

  it('begins anew with another text, and counts line ends of any kind', () => {
    const growing = new Growing();
    growing.take('a\r\n\r\nb', false);
    expect(growing.done.join('') + growing.rest).toBe('a\n\nb');
    growing.take('other', false);
    expect([growing.done, growing.rest, growing.turns]).toEqual([[], 'other', 1]);
  });

  it('is quick for 100 KB that come in a thousand pieces', () => {
    const paragraph = 'Some words of a long answer, *with* a `mark` or two. '.repeat(10) + '\n\n';
    const long = paragraph.repeat(200);
    const growing = new Growing();
    const began = performance.now();
    for (let at = 0; at <= long.length; at += 105) growing.take(long.slice(0, at), false);
    expect(performance.now() - began).toBeLessThan(4_000);
  });
});

it('a difference tells what went and what came', () => {
  expect(diffLines('a\nb\nc', 'a\nx\nc')).toEqual([
    { kind: 'same', text: 'a' }, { kind: 'gone', text: 'b' }, { kind: 'new', text: 'x' }, { kind: 'same', text: 'c' },
  ]);
  expect(diffLines('same', 'same')).toEqual([{ kind: 'same', text: 'same' }]);
});

describe('arguments that somebody types', () => {
  it('are an object, or it is said why not', () => {
    expect(parsed('{"a": 1}')).toEqual({ value: { a: 1 } });
    expect(parsed('[1]')).toEqual({ fault: 'The arguments are an object: { "name": value }.' });
    expect(parsed('{"a":')).toHaveProperty('fault');
  });

  it('have fields where they are simple', () => {
    expect(fieldsOf({ to: 'x', n: 1, ok: true })?.map((field) => field.kind)).toEqual(['text', 'number', 'flag']);
    expect(fieldsOf({ deep: {} })).toBeNull();
    expect(fieldsOf({})).toBeNull();
  });
});
