// One run on the screen: what the host says of it, and its part of the journal, live while it is.

import { get, Problem } from '../api';
import { between } from '../conversation/journal';
import { follow, type Line } from '../follow';
import type { Envelope, EventPage, SessionInfo } from '../types';
import { Belonging, instantOf, isPiece, placeOf } from './journal';
import { isLive, type InspectedRun } from './types';

const PAGE = 1_000;
/** After its end only warnings come; so many more events are looked at for them. */
const BEHIND_END = 20;
/** So many pieces of messages are read at most when somebody asks for them. */
const MOST_PIECES = 20_000;

export class OpenRun {
  run = $state.raw<InspectedRun | null>(null);
  session = $state.raw<SessionInfo | null>(null);
  /** Its own events, oldest first; of what was said piece by piece only the first piece, unless they were asked for. */
  events = $state.raw<readonly Envelope[]>([]);
  /** All events of the session in its time. */
  around = $state.raw<readonly Envelope[]>([]);
  fault = $state.raw<Problem | null>(null);
  line = $state.raw<Line>({ state: 'connecting' });
  reading = $state(true);
  /** Pieces were asked for, and are there. */
  whole = $state(false);
  head = $state(0);

  #over = new AbortController();
  #own: Belonging | null = null;
  #events: Envelope[] = [];
  #around: Envelope[] = [];
  #begun = new Set<string>();
  #drawing = false;

  constructor(readonly id: string) {}

  async open(): Promise<void> {
    const signal = this.#over.signal;
    try {
      const run = await get<InspectedRun>(`/v1/runs/${this.id}`, undefined, signal);
      this.run = run;
      this.#own = new Belonging(run);
      const path = `/v1/sessions/${run.session_id}`;
      const session = await get<SessionInfo>(path, undefined, signal);
      this.session = session;
      const from = await placeOf(run.queued_at, session.head_seq, instantOf(path, signal));
      const cursor = await this.#read(path, from);
      this.reading = false;
      if (isLive(run)) void follow(run.session_id, cursor, { events: this.#hear, line: (line) => (this.line = line), gap: () => undefined, forgotten: (why) => (this.fault = why) }, signal);
      else this.line = { state: 'closed', reason: 'finished' };
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.fault = error;
    }
  }

  close(): void {
    this.#over.abort();
  }

  /** The first and the last number of the run. */
  get span(): { first: number; last: number } {
    return { first: this.events[0]?.seq ?? 1, last: this.events.at(-1)?.seq ?? 1 };
  }

  /** Read every piece of what was said, too. Whether that is all there is. */
  async pieces(): Promise<boolean> {
    const { run, span } = this;
    if (!run) return false;
    const last = Math.min(span.last, span.first + MOST_PIECES);
    const all = await between(`/v1/sessions/${run.session_id}`, span.first - 1, last, this.#over.signal);
    const merge = (known: Envelope[], found: Envelope[]) =>
      [...new Map([...known, ...found].map((event) => [event.seq, event])).values()].sort((a, b) => a.seq - b.seq);
    this.whole = true;
    this.#around = merge(this.#around, all);
    this.#events = merge(this.#events, all.filter((event) => this.#own?.has(event)));
    this.#show();
    return last === span.last;
  }

  async #read(path: string, from: number): Promise<number> {
    let cursor = from;
    for (;;) {
      const page = await get<EventPage>(`${path}/events`, { brief: true, after: cursor, limit: PAGE }, this.#over.signal);
      this.head = page.head_seq;
      for (const event of page.data) this.#take(event);
      cursor = Math.max(cursor, page.scanned?.last ?? page.data.at(-1)?.seq ?? cursor);
      this.#show();
      const end = this.#events.find((event) => event.type === 'run.finished');
      if (cursor >= page.head_seq || (end && cursor > end.seq + BEHIND_END) || page.data.length + (page.scanned?.last ?? 0) === 0) return cursor;
    }
  }

  /** Keep an event. Of a message that is being said, the first piece stands for all. */
  #take(event: Envelope): void {
    this.head = Math.max(this.head, event.seq);
    if (isPiece(event) && !this.whole) {
      const speech = `${event.type} ${String(event.data.message_id)}`;
      if (this.#begun.has(speech)) return;
      this.#begun.add(speech);
    }
    this.#around.push(event);
    if (this.#own?.has(event)) this.#events.push(event);
  }

  #hear = (batch: Envelope[]): void => {
    for (const event of batch) this.#take(event);
    if (batch.some((event) => event.run_id === this.id && event.type.startsWith('run.'))) void this.#again();
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#show();
    });
  };

  async #again(): Promise<void> {
    try {
      this.run = await get<InspectedRun>(`/v1/runs/${this.id}`, undefined, this.#over.signal);
    } catch (error) {
      if (!this.#over.signal.aborted && !(error instanceof Problem)) throw error;
    }
  }

  #show(): void {
    this.events = [...this.#events];
    // What came before its message was admitted isn't of its time.
    const first = this.#events[0]?.seq ?? Infinity;
    this.around = this.#around.filter((event) => event.seq >= first);
  }
}
