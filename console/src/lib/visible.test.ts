// Nobody approves what they don't see.

import { describe, expect, it } from 'vitest';
import { concerns, lookalikes, pieces } from './visible';

const hidden = (text: string) => pieces(text).flatMap((piece) => piece.hidden ?? []);

describe('what doesn’t show', () => {
  it.each([
    ['a\u200bb', 'U+200B zero-width space'], ['\u202etxt.exe', 'U+202E right-to-left override'], ['a\u2066b', 'U+2066 left-to-right isolate'],
    ['x\u00a0y', 'U+00A0 no-break space'], ['soft\u00adhyphen', 'U+00AD soft hyphen'], ['\ufeffbom', 'U+FEFF zero-width no-break space'],
    ['esc\u001b[31m', 'U+001B escape'], ['\u0000', 'U+0000 null'], ['a\u3164b', 'U+3164 Hangul filler'], ['\u{e0041}', 'U+E0041 tag'],
    ['over\rwritten', 'U+000D carriage return'], ['a\u2028b', 'U+2028 line separator'], ['\ue000', 'U+E000'],
    ['o\ufe0f', 'U+FE0F variation selector'], ['a\u034fb', 'U+034F grapheme joiner'], ['\u2800', 'U+2800 blank Braille pattern'],
  ])('%j is written out', (text, name) => {
    expect(hidden(text)).toEqual([name]);
    expect(pieces(text).map((piece) => piece.text).join('')).toBe(text);
  });

  it.each(['plain words', 'two\nlines\tand a tab', 'Grüße, 中文, العربية, עברית, हिन्दी', 'family 👨‍👩‍👧 ❤️ and 1️⃣ 👍🏽'])('%j shows as it is', (text) => {
    expect(pieces(text)).toEqual([{ text, hidden: null }]);
  });

  it('a joiner outside a picture is written out', () => {
    expect(hidden('a\u200db')).toEqual(['U+200D zero-width joiner']);
  });

  it('is quick for a very long text', () => {
    const began = performance.now();
    pieces('word \u200b'.repeat(20_000));
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe('what looks like something else', () => {
  it.each([
    ['раураl', 'mixes Latin and Cyrillic letters'], ['аррӏе', 'is Cyrillic, and looks Latin'], ['Αdmin', 'mixes Latin and Greek letters'],
    ['ｒｍ', 'has letters of another style than they seem'], ['𝐚𝐝𝐦𝐢𝐧', 'has letters of another style than they seem'],
  ])('%s', (word, why) => {
    expect(lookalikes(`pay ${word} now`)).toEqual([{ word, why }]);
  });

  it.each(['ordinary words', 'Привет, мир', 'Καλημέρα κόσμε', 'user_1 and naïve café', 'https://example.com/a?b=1'])('%s is no concern', (text) => {
    expect(lookalikes(text)).toEqual([]);
  });

  it('a slash that isn’t one', () => {
    expect(lookalikes('example.com\u2215evil')).toHaveLength(1);
  });

  it('is looked for in names and nested values', () => {
    expect(concerns({ 'a\u200b': [{ to: 'раураl' }], n: 1 })).toEqual({
      hidden: ['U+200B zero-width space'], lookalikes: [{ word: 'раураl', why: 'mixes Latin and Cyrillic letters' }],
    });
  });
});
