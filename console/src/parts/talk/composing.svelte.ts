// What a person is about to say in one session: the draft, its files, where it goes while a run is live,
// and what was sent but isn't in the journal yet. Each message has its id from here, so that one whose answer
// was lost can be sent again without being said twice.

import { post, Problem } from '../../lib/api';
import type { View } from '../../lib/conversation/items';
import { kept } from '../../lib/preferences.svelte';
import type { OpenSession } from '../../lib/session.svelte';
import type { Content, MessageReceipt } from '../../lib/types';
import { who } from '../../lib/who.svelte';
import { contentOf, fallbackWords, isLostOnTheWay, messageId, MOST_BYTES, sizeOf, type Way } from './saying';
import { Uploads } from './uploads.svelte';

/** A message that was sent and isn't in the journal yet, as far as this page knows. */
export interface Outgoing {
  id: string;
  content: Content;
  way: Way;
  /** Null while it is on its way; then the number of the event that admitted it. */
  seq: number | null;
  /** Why it hasn't arrived. It is tried again. */
  stuck: string;
  /** It takes long enough to be shown; most messages are in the thread before the eye is. */
  late: boolean;
}

interface Draft {
  text: string;
  files: { id: string; name: string; size: number }[];
}

const AGAIN_MS = 3_000;
const LATE_MS = 120;

export class Composing {
  text = $state('');
  outgoing = $state.raw<Outgoing[]>([]);
  /** Why the last message, or the edit of one, was refused. */
  refused = $state('');
  /** What was decided about the last message, where it isn't what was asked for. */
  told = $state('');
  readonly uploads: Uploads;

  #chosen = $state.raw<{ run: string; way: Way } | null>(null);
  #sending = false;
  #timer = 0;
  #keeping = 0;
  #toldIn: string | null = null;
  /** Under whose name, and where, it is kept: on a shared browser nobody says what another wrote. */
  readonly #place: string;
  /** The draft as this page read or kept it last: another page's isn't overwritten for nothing. */
  #kept: string;
  /** The messages that were sent from this page; others may be on their way from another. */
  #own = new Set<string>();

  constructor(readonly session: OpenSession) {
    this.#place = `${who.am?.user ?? ''}.${session.id}`;
    const draft = kept.read<Draft>(`draft.${this.#place}`, { text: '', files: [] });
    this.#kept = JSON.stringify(draft);
    this.text = draft.text;
    this.uploads = new Uploads(session.path, draft.files);
    this.outgoing = kept.read<Outgoing[]>(`outgoing.${this.#place}`, []);
    for (const one of this.outgoing) this.#own.add(one.id);
  }

  /** Where a message goes while a run is live. A choice holds for that run. */
  get way(): Way {
    const run = this.session.view.run;
    return run && this.#chosen?.run === run.id ? this.#chosen.way : 'steer';
  }

  set way(way: Way) {
    const run = this.session.view.run;
    this.#chosen = run ? { run: run.id, way } : null;
  }

  /** Why the draft can't be sent as it is; empty if it can. */
  get hindrance(): string {
    if (this.uploads.busy) return 'Files are still on their way.';
    return sizeOf(this.#content()) > MOST_BYTES ? 'A message holds at most 1 MiB. Attach the text as a file instead.' : '';
  }

  get empty(): boolean {
    return this.text.trim() === '' && this.uploads.ready.length === 0;
  }

  /** The messages on their way that the journal doesn't show yet. */
  unseen(view: View): Outgoing[] {
    return this.outgoing.filter((one) => !isSeen(one, view));
  }

  /** Keep the draft when typing pauses. */
  keepSoon(): void {
    clearTimeout(this.#keeping);
    this.#keeping = window.setTimeout(() => this.keep(), 250);
  }

  keep(): void {
    clearTimeout(this.#keeping);
    const files = this.uploads.ready.map(({ id, name, size }) => ({ id, name, size }));
    const draft: Draft = { text: this.text, files };
    if (JSON.stringify(draft) === this.#kept) return;
    this.#kept = JSON.stringify(draft);
    kept.write(`draft.${this.#place}`, this.text || files.length ? draft : null);
  }

  /** A text that is too long for a message goes along as a file. */
  attachText(text: string): void {
    this.uploads.add([new File([text], 'message.txt', { type: 'text/plain' })]);
    if (text === this.text) this.text = '';
    this.told = 'The text is longer than a message may be, so it goes along as a file.';
    this.#toldIn = this.session.view.run?.id ?? null;
    this.keep();
  }

  /** Send the draft. It stays until it is in the journal, or comes back with the reason why not. */
  send(way: Way): void {
    if (this.empty || this.hindrance) return;
    const one: Outgoing = { id: messageId(), content: this.#content(), way, seq: null, stuck: '', late: false };
    this.text = '';
    this.uploads.sent();
    this.refused = '';
    this.told = '';
    this.outgoing = [...this.outgoing, one];
    this.#own.add(one.id);
    this.keep();
    this.#keepOutgoing();
    setTimeout(() => this.#change(one.id, { late: true }), LATE_MS);
    void this.deliver();
  }

  /** Send what waits to be sent, in its order. */
  async deliver(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      let next: Outgoing | undefined;
      while ((next = this.outgoing.find((one) => one.seq === null))) if (!(await this.#post(next))) break;
    } finally {
      this.#sending = false;
    }
  }

  /** Take back a message that hasn't arrived. It may have, if only the answer was lost: then it stays said. */
  takeBack(one: Outgoing): void {
    this.#drop(one.id);
    this.#restore(one);
  }

  /** Words that found no place elsewhere go before the draft, and `why` is told. */
  giveBack(text: string, why: string): void {
    this.text = this.text ? `${text}\n${this.text}` : text;
    this.refused = why;
    this.keep();
  }

  /** Forget what the journal shows by now. */
  settle(view: View): void {
    if (this.told && this.#toldIn !== (view.run?.id ?? null)) this.told = '';
    const left = this.unseen(view);
    if (left.length === this.outgoing.length) return;
    this.outgoing = left;
    this.#keepOutgoing();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.keep();
  }

  #content(): Content {
    return contentOf(this.text, this.uploads.ready.map((file) => file.id));
  }

  /** Whether it arrived, or was refused for good: then the next one may go. */
  async #post(one: Outgoing): Promise<boolean> {
    const body = { content: one.content, message_id: one.id, when_busy: one.way };
    try {
      const receipt = await post<MessageReceipt>(`${this.session.path}/messages`, body);
      this.#change(one.id, { seq: receipt.seq, stuck: '' });
      this.#toldIn = this.session.view.run?.id ?? null;
      if (receipt.fallback) this.told = fallbackWords(receipt.fallback, this.session.info?.agent ?? 'The agent');
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (isLostOnTheWay(error)) {
        this.#change(one.id, { stuck: error.message });
        this.#timer = window.setTimeout(() => void this.deliver(), AGAIN_MS);
        return false;
      }
      this.#drop(one.id);
      this.#restore(one);
      this.refused = error.message;
      return true;
    }
  }

  #restore(one: Outgoing): void {
    const { content } = one;
    const text = typeof content === 'string' ? content : content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
    this.text = this.text ? `${text}\n${this.text}` : text;
    this.uploads.restore(typeof content === 'string' ? [] : content.flatMap((part) => (part.type === 'file' ? [part.file_id] : [])));
    this.keep();
  }

  #change(id: string, changes: Partial<Outgoing>): void {
    if (!this.outgoing.some((one) => one.id === id)) return;
    this.outgoing = this.outgoing.map((one) => (one.id === id ? { ...one, ...changes } : one));
    this.#keepOutgoing();
  }

  #drop(id: string): void {
    this.outgoing = this.outgoing.filter((one) => one.id !== id);
    this.#keepOutgoing();
  }

  #keepOutgoing(): void {
    const left = this.outgoing.filter((one) => one.seq === null).map((one) => ({ ...one, late: true }));
    const others = kept.read<Outgoing[]>(`outgoing.${this.#place}`, []).filter((one) => !this.#own.has(one.id));
    const all = [...others, ...left];
    kept.write(`outgoing.${this.#place}`, all.length ? all : null);
  }
}

function isSeen(one: Outgoing, view: View): boolean {
  if (one.seq !== null && view.head >= one.seq) return true;
  const { items, waiting } = view;
  return waiting.some((other) => other.messageId === one.id) || items.some((item) => item.key === one.id);
}

const known = new WeakMap<OpenSession, Composing>();

/** What is being said in a session: one for all parts of the page. */
export function composingOf(session: OpenSession): Composing {
  let one = known.get(session);
  if (!one) known.set(session, (one = new Composing(session)));
  return one;
}
