// Reads parts of a journal for a fold: backwards in brief, and in full where a message was still being said.

import { get } from '../api';
import type { Content, Envelope, EventPage } from '../types';
import type { Anchor, Known } from './facts';
import { Fold } from './fold';
import { keepKnown } from './same';

/** How many events a full page holds at most. */
const FULL = 1_000;
/** A window asks for at most so many messages that were admitted before it. */
const MOST_MISSING = 24;

/** The part of the journal before a number, without pieces of messages that stand whole in it. */
export function briefBefore(path: string, before: number, limit: number, signal?: AbortSignal): Promise<EventPage> {
  return get<EventPage>(`${path}/events`, { brief: true, before, limit }, signal);
}

/** Every event after a number, up to another one. */
export async function between(path: string, after: number, through: number, signal?: AbortSignal): Promise<Envelope[]> {
  const found: Envelope[] = [];
  let cursor = after;
  while (cursor < through) {
    const page = await get<EventPage>(`${path}/events`, { after: cursor, limit: Math.min(FULL, through - cursor) }, signal);
    const last = page.data.at(-1);
    if (!last) break;
    found.push(...page.data);
    cursor = last.seq;
  }
  return found;
}

/** A part of a journal that is known without gaps, from `first` on, but for the pieces that a brief one leaves out. */
export class Stretch {
  events: Envelope[] = [];
  fold = new Fold();
  first = 1;
  minAvailable = 1;
  #anchors: Anchor[] = [];
  #known = new Map<string, Known>();
  #asked = new Set<string>();

  constructor(
    readonly path: string,
    readonly signal: AbortSignal,
  ) {}

  get complete(): boolean {
    return this.first <= this.minAvailable;
  }

  /** Begin with the end of the journal, or with the moment after `head`. */
  begin(page: EventPage, head: number, anchors: Anchor[] = []): void {
    this.events = [];
    this.#anchors = anchors;
    this.#put(page, head);
  }

  add(event: Envelope): void {
    if (event.seq <= this.fold.head) return;
    this.events.push(event);
    this.fold.add(event);
    if (event.type === 'message.completed' || event.type === 'reasoning.completed') this.#forget(event);
  }

  /** Read the part before the first number that is known. */
  async older(limit: number): Promise<void> {
    if (this.complete) return;
    this.#put(await briefBefore(this.path, this.first, limit, this.signal), this.fold.head);
    await this.complement();
  }

  /** Ask for the words of messages that runs of this part took, and that were admitted before it. */
  async complement(): Promise<void> {
    const wanted = [...this.fold.missing].filter((id) => !this.#asked.has(id)).slice(-MOST_MISSING);
    if (!wanted.length) return;
    await Promise.all(
      wanted.map(async (id) => {
        this.#asked.add(id);
        const found = await get<{ content: Content }>(`${this.path}/messages/${id}`, undefined, this.signal).catch(() => null);
        if (found) this.#known.set(id, { content: found.content, author: null });
      }),
    );
    this.refold(this.fold.head);
  }

  /** Take in what a brief page left out, and fold anew. */
  fill(pieces: Envelope[], head: number): void {
    const all = new Map([...this.events, ...pieces].map((event) => [event.seq, event]));
    this.events = [...all.values()].sort((a, b) => a.seq - b.seq);
    this.refold(head);
  }

  refold(head: number): void {
    const before = this.fold.items;
    this.fold = Fold.of(this.events, this.first > 1 ? this.#anchors : [], this.#known);
    this.fold.reached(head);
    keepKnown(this.fold.items, before);
  }

  #put(page: EventPage, head: number): void {
    const known = this.events[0]?.seq ?? Infinity;
    this.events = [...page.data.filter((event) => event.seq < known), ...this.events];
    this.first = page.scanned?.first ?? page.data[0]?.seq ?? this.first;
    if (page.gap) this.minAvailable = page.gap.min_available;
    // A page that covers nothing leads nowhere: what lies before it is gone.
    if (page.scanned && page.scanned.last < page.scanned.first && this.first > 1) this.minAvailable = this.first;
    this.refold(head);
  }

  /** The pieces of a message that is whole are of no use any more, but for the first, where it stands. */
  #forget(whole: Envelope): void {
    const id = whole.data.message_id;
    const type = whole.type.replace('.completed', '.delta');
    let kept = type === 'reasoning.delta';
    this.events = this.events.filter((event) => {
      if (event.type !== type || event.data.message_id !== id || kept) return event.type !== type || event.data.message_id !== id;
      kept = true;
      return true;
    });
  }
}
