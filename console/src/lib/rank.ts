// How well a text answers a few typed letters, for the palette: a beginning before a word before letters in order.

/** Higher is better; null if the letters don't occur in order. */
export function rank(typed: string, text: string): number | null {
  const wanted = plain(typed).trim();
  const given = plain(text);
  if (!wanted) return 0;
  if (given.startsWith(wanted)) return 1_000 - given.length;
  const word = given.search(new RegExp(`(?<![\\p{L}\\p{N}])${wanted.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}`, 'u'));
  if (word > 0) return 800 - word;
  if (initials(given).startsWith(wanted)) return 700;
  const within = given.indexOf(wanted);
  if (within > 0) return 600 - within;
  return scattered(wanted.replace(/\s+/g, ''), given);
}

const initials = (given: string) => given.split(/[^\p{L}\p{N}]+/u).map((word) => word.charAt(0)).join('');

/** The letters in their order: each gap costs, a letter that begins a word counts more. */
function scattered(wanted: string, given: string): number | null {
  let score = 300;
  let at = -1;
  for (const letter of wanted) {
    const next = given.indexOf(letter, at + 1);
    if (next < 0) return null;
    const begins = next === 0 || /[^\p{L}\p{N}]/u.test(given.charAt(next - 1));
    score -= begins ? 0 : Math.min(next - at - 1, 40);
    at = next;
  }
  return score > 300 - 30 * wanted.length ? score : null;
}

/** Letters without case and accents. */
const plain = (text: string) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

/** The best of all, best first; in the given order where nothing is typed or they are alike. */
export function best<T>(typed: string, all: readonly T[], textOf: (one: T) => string): T[] {
  const ranked = all.flatMap((one, order) => {
    const score = rank(typed, textOf(one));
    return score === null ? [] : [{ one, order, score }];
  });
  return ranked.sort((a, b) => b.score - a.score || a.order - b.order).map(({ one }) => one);
}
