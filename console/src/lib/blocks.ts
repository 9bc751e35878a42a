// Splits Markdown that is still being said: blocks that are finished are rendered once, and only the last one anew.

import { Lexer } from 'marked';

/** How much of a text, from a place on, are finished blocks: the length up to the last block. */
export function finished(markdown: string): number {
  const blocks = Lexer.lex(markdown, { gfm: true, breaks: true });
  while (blocks.at(-1)?.type === 'space') blocks.pop();
  return blocks.slice(0, -1).reduce((length, block) => length + block.raw.length, 0);
}

/** Markdown that grows at its end, in pieces that never change again and a last one that does. */
export class Growing {
  done: string[] = [];
  rest = '';
  /** How often it turned out to be another text. */
  turns = 0;
  #length = 0;
  #text = '';

  /** Take in the text as it is now. `whole` says that nothing follows. */
  take(given: string, whole: boolean): void {
    // Markdown counts its blocks with plain line ends.
    const text = given.includes('\r') ? given.replace(/\r\n?/g, '\n') : given;
    if (!text.startsWith(this.#text)) {
      this.turns += 1;
      this.done = [];
      this.#length = 0;
    }
    this.#text = text;
    const tail = text.slice(this.#length);
    // What was said in one go is one piece; splitting is only for what is drawn many times.
    const cut = whole ? 0 : finished(tail);
    if (cut > 0) {
      this.done = [...this.done, tail.slice(0, cut)];
      this.#length += cut;
    }
    this.rest = text.slice(this.#length);
  }
}
