// Makes the invisible visible: characters that don't show, that turn the direction of reading, or that only look
// like the letter one expects. Nobody should approve what they don't see.

export interface Piece {
  text: string;
  /** What the characters are, where they don't show by themselves: “U+200B zero-width space”. */
  hidden: string | null;
}

const NAMES: Record<number, string> = {
  0x00: 'null', 0x08: 'backspace', 0x0b: 'vertical tab', 0x0c: 'form feed', 0x0d: 'carriage return', 0x1b: 'escape', 0x7f: 'delete',
  0xa0: 'no-break space', 0xad: 'soft hyphen', 0x034f: 'grapheme joiner', 0x061c: 'Arabic letter mark', 0x115f: 'Hangul filler',
  0x1160: 'Hangul filler', 0x1680: 'Ogham space', 0x180e: 'Mongolian vowel separator', 0x200b: 'zero-width space',
  0x200c: 'zero-width non-joiner', 0x200d: 'zero-width joiner', 0x200e: 'left-to-right mark', 0x200f: 'right-to-left mark',
  0x2028: 'line separator', 0x2029: 'paragraph separator', 0x202a: 'left-to-right embedding', 0x202b: 'right-to-left embedding',
  0x202c: 'end of direction', 0x202d: 'left-to-right override', 0x202e: 'right-to-left override', 0x202f: 'narrow no-break space',
  0x205f: 'mathematical space', 0x2060: 'word joiner', 0x2061: 'function application', 0x2062: 'invisible times',
  0x2063: 'invisible separator', 0x2064: 'invisible plus', 0x2066: 'left-to-right isolate', 0x2067: 'right-to-left isolate',
  0x2068: 'first strong isolate', 0x2069: 'end of isolate', 0x2800: 'blank Braille pattern', 0x3000: 'wide space',
  0x3164: 'Hangul filler', 0xfeff: 'zero-width no-break space', 0xffa0: 'Hangul filler', 0xfffc: 'object replacement',
};

// Control and format characters, separators other than a space, fillers, selectors of variants, tags, and what isn't assigned.
const HIDDEN =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\u00a0\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
const SEEN = new Set(['\n', '\t']);
/** Joiners and selectors belong to an emoji that stands around them. */
const PICTURE = /\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\ufe0f)*(?:\u200d\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\ufe0f)*)*|[#*0-9]\ufe0f\u20e3/gu;

/** The text in pieces: what shows, and what doesn't. Line breaks and tabs show. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  const put = (part: string, hidden: string | null) => {
    const last = found.at(-1);
    if (last && last.hidden === null && hidden === null) last.text += part;
    else found.push({ text: part, hidden });
  };
  let at = 0;
  for (const picture of text.matchAll(PICTURE)) {
    for (const one of text.slice(at, picture.index)) put(one, hiddenName(one));
    put(picture[0], null);
    at = picture.index + picture[0].length;
  }
  for (const one of text.slice(at)) put(one, hiddenName(one));
  return found;
}

function hiddenName(character: string): string | null {
  if (SEEN.has(character) || !HIDDEN.test(character)) return null;
  const code = character.codePointAt(0) ?? 0;
  const hex = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const name = NAMES[code] ?? (code >= 0xe0000 && code <= 0xe007f ? 'tag' : code >= 0xfe00 && code <= 0xfe0f ? 'variation selector' : '');
  return name ? `${hex} ${name}` : hex;
}

const WORD = /[\p{L}\p{M}\p{N}_]+/gu;
const SCRIPTS: [string, RegExp][] = [
  ['Latin', /\p{Script=Latin}/u], ['Cyrillic', /\p{Script=Cyrillic}/u], ['Greek', /\p{Script=Greek}/u],
  ['Armenian', /\p{Script=Armenian}/u], ['Cherokee', /\p{Script=Cherokee}/u],
];
/** Letters of Cyrillic and Greek that are drawn like Latin ones. */
const ALIKE = /^[\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd\u03c1\u0405\u0406\u0408\u0410\u0412\u0415\u041a\u041c-\u041e\u0420-\u0422\u0425\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u04bb\u0501\u051b\u051d\u04cf\u0491_\p{N}]+$/u;
/** Letters and digits in another width, style or size: they read like plain ones and aren't. */
const STYLED = /[\uff01-\uff5e\u{1d400}-\u{1d7ff}\u24b6-\u24e9\u{1f130}-\u{1f149}\u2100-\u214f]/u;
/** In a word of an address or a command every letter that isn't plain is worth a look. */
const LIGATURE = /[\u0131\u017f\u0251\u0261\u2044\u2215\u29f8\ua789\u2236]/u;

export interface Warning {
  word: string;
  /** What is odd about it. */
  why: string;
}

/** Words that may read as something else than they are. */
export function lookalikes(text: string): Warning[] {
  const found = new Map<string, string>();
  for (const [word] of text.matchAll(WORD)) {
    const scripts = SCRIPTS.filter(([, script]) => script.test(word)).map(([name]) => name);
    if (scripts.length > 1) found.set(word, `mixes ${scripts.join(' and ')} letters`);
    else if (scripts[0] !== undefined && scripts[0] !== 'Latin' && ALIKE.test(word)) found.set(word, `is ${scripts[0]}, and looks Latin`);
    else if (STYLED.test(word)) found.set(word, 'has letters of another style than they seem');
  }
  for (const [sign] of text.matchAll(new RegExp(LIGATURE, 'gu'))) found.set(sign, `is U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}, and looks like a plain character`);
  return [...found].map(([word, why]) => ({ word, why }));
}

/** Whether anything in a value, its names included, doesn't show or may mislead. */
export function concerns(value: unknown): { hidden: string[]; lookalikes: Warning[] } {
  const text = [...textsOf(value)].join('\n');
  const hidden = pieces(text).flatMap((piece) => piece.hidden ?? []);
  return { hidden: [...new Set(hidden)], lookalikes: lookalikes(text) };
}

function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const one of value) yield* textsOf(one);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, one] of Object.entries(value)) {
      yield name;
      yield* textsOf(one);
    }
  }
}
