// A session that was given no title is called by how it began.

const MOST = 80;

/** The first line of what was said, cut between words where it is long. Empty if nothing was said. */
export function firstWords(text: string): string {
  const line = text.trim().split('\n', 1)[0]?.trim() ?? '';
  const letters = [...line];
  if (letters.length <= MOST) return line;
  const cut = letters.slice(0, MOST - 1).join('');
  const space = cut.lastIndexOf(' ');
  return `${space > MOST / 2 ? cut.slice(0, space) : cut}…`;
}
