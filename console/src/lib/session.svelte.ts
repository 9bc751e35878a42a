// One open session: what is known of it, kept up by its journal's stream, and everything a person can ask of it.
// It opens at the end of the journal and reads backwards as far as somebody looks.

import { get, patch, post, Problem, remove } from './api';
import type { Anchor } from './conversation/facts';
import { Fold } from './conversation/fold';
import type { View, WaitingMessage } from './conversation/items';
import { between, briefBefore, Stretch } from './conversation/journal';
import { follow, type Line } from './follow';
import type { Content, Envelope, MessageReceipt, SessionInfo, TranscriptItem, TranscriptPage, WhenBusy } from './types';
import { who } from './who.svelte';

/** How many events the first look asks for: some screens full. */
const FIRST_PAGE = 160;
/** How many a look backwards asks for. */
const PAGE = 400;
/** How many looks backwards a link to an event may cost; what lies farther away is shown as it stood then. */
const FAR = 25;
/** How many pieces of an unfinished message are read to show a moment of it. */
const MOST_PIECES = 20_000;
/** A store that forgets again and again is read again after a pause only. */
const FORGOTTEN_WAIT_MS = 3_000;

export class OpenSession {
  info = $state.raw<SessionInfo | null>(null);
  view = $state.raw<View>(new Fold().view());
  line = $state.raw<Line>({ state: 'connecting' });
  /** Why the session can't be shown. */
  fault = $state.raw<Problem | null>(null);
  /** The end of the journal was read. */
  ready = $state(false);
  /** The first number that is known; 1 if everything is. */
  first = $state(1);
  /** Numbers before this one were retired. */
  minAvailable = $state(1);
  loadingOlder = $state(false);
  /** Why everything had to be read again, in words for people. */
  begunAnew = $state<string | null>(null);
  /** Told the envelopes as they come, for screens that list the journal itself. */
  readonly listeners = new Set<(batch: Envelope[]) => void>();

  #over = new AbortController();
  /** The stream that is followed, so that opening anew never leaves two. */
  #following = new AbortController();
  #known: Stretch;
  #drawing = false;
  #reading: Promise<void> | null = null;

  constructor(readonly id: string) {
    this.#known = new Stretch(this.path, this.#over.signal);
  }

  get path(): string {
    return `/v1/sessions/${this.id}`;
  }

  /** Aborted once nobody looks at the session any more. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** The envelopes that are known, oldest first, without pieces of messages that are whole. */
  get events(): readonly Envelope[] {
    return this.#known.events;
  }

  /** Read the end of the journal, then follow it until `close`. */
  async open(): Promise<void> {
    const signal = this.#over.signal;
    try {
      const [info, tail, waiting] = await Promise.all([
        get<SessionInfo>(this.path, undefined, signal),
        briefBefore(this.path, Number.MAX_SAFE_INTEGER, FIRST_PAGE, signal),
        get<TranscriptPage>(`${this.path}/messages`, { limit: 1 }, signal),
      ]);
      this.info = info;
      this.fault = null;
      this.#known = new Stretch(this.path, signal);
      this.#known.begin(tail, tail.head_seq, anchorsOf(info, waiting));
      this.#show();
      this.ready = true;
      this.#following.abort();
      this.#following = new AbortController();
      const following = AbortSignal.any([signal, this.#following.signal]);
      void follow(this.id, tail.head_seq, { events: this.#hear, line: this.#linked, gap: this.#missed, forgotten: this.#forgotten }, following);
    } catch (error) {
      if (!signal.aborted && error instanceof Problem) this.fault = error;
      else if (!signal.aborted) throw error;
      return;
    }
    // From here on there is something to show: what can't be read now, is read when somebody looks farther back.
    try {
      await this.#known.complement();
      if (this.info) await this.#reachQuestions(this.info);
      this.#draw();
    } catch (error) {
      if (!signal.aborted && !(error instanceof Problem)) throw error;
    }
  }

  close(): void {
    this.#over.abort();
  }

  /** Read the part before the first number that is known. Does nothing at the beginning. */
  older(limit = PAGE): Promise<void> {
    this.#reading ??= this.#older(limit).finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #older(limit: number): Promise<void> {
    if (this.#known.complete) return;
    this.loadingOlder = true;
    try {
      await this.#known.older(limit);
      this.#show();
    } finally {
      this.loadingOlder = false;
    }
  }

  /** Read back until a number is known. False if it lies too far away. */
  async reach(seq: number): Promise<boolean> {
    for (let looks = 0; looks < FAR && this.first > seq; looks += 1) {
      if (this.#known.complete || this.#over.signal.aborted) break;
      await this.older(1_000);
    }
    return this.first <= seq;
  }

  /** The conversation as it stood at a number, as far as it is known here; `past` knows it exactly. */
  at(seq: number): View {
    return Fold.of(this.#known.events.filter((event) => event.seq <= seq)).view();
  }

  /** The conversation as it stood at a number, read from the host as far as it has to be. */
  async past(seq: number, limit = FIRST_PAGE, signal: AbortSignal = this.#over.signal): Promise<Stretch> {
    const then = new Stretch(this.path, signal);
    then.begin(await briefBefore(this.path, seq + 1, limit, signal), seq);
    // Of what was being said just then, a brief page has the first piece at most.
    const from = Math.min(then.fold.unfinished() ?? seq, then.events.at(-1)?.seq ?? seq);
    if (from < seq && seq - from <= MOST_PIECES) then.fill(await between(this.path, from, seq, signal), seq);
    await then.complement();
    return then;
  }

  // Commands. Each raises Problem; what they change comes back by the stream.

  send(content: Content, whenBusy: WhenBusy = 'queue'): Promise<MessageReceipt> {
    return post(`${this.path}/messages`, { content, when_busy: whenBusy });
  }

  edit(messageId: string, content: Content): Promise<unknown> {
    return patch(`${this.path}/messages/${messageId}`, { content });
  }

  promote(messageId: string, to: 'steer' | 'next'): Promise<unknown> {
    return patch(`${this.path}/messages/${messageId}`, { promote: to });
  }

  withdraw(messageId: string): Promise<void> {
    return remove(`${this.path}/messages/${messageId}`);
  }

  stop(options: { force?: boolean; waiting?: 'hold' | 'run' | 'withdraw' } = {}): Promise<unknown> {
    return post(`${this.path}/interrupt`, options);
  }

  undo(body: { turns?: number; to_message_id?: string; dry_run?: boolean; interrupt?: boolean }): Promise<unknown> {
    return post(`${this.path}/undo`, body);
  }

  redo(): Promise<unknown> {
    return post(`${this.path}/redo`);
  }

  compact(instructions?: string): Promise<unknown> {
    return post(`${this.path}/compact`, instructions ? { instructions } : {});
  }

  fork(body: { at_seq?: number; title?: string } = {}): Promise<SessionInfo> {
    return post(`${this.path}/fork`, body);
  }

  retry(runId: string): Promise<MessageReceipt> {
    return post(`/v1/runs/${runId}/retry`);
  }

  rename(title: string): Promise<SessionInfo> {
    return patch(this.path, { title });
  }

  /** Read what only the host can tell again: spending, counts. */
  async refresh(): Promise<void> {
    this.info = await get<SessionInfo>(this.path);
  }

  /** A question that waits is always there to be answered, however much was said since. */
  async #reachQuestions(info: SessionInfo): Promise<void> {
    const asked = (id: string) => this.#known.fold.items.some((item) => item.kind === 'call' && item.question?.id === id);
    for (let looks = 0; looks < 5 && info.pending_approvals.some((one) => !asked(one.id)); looks += 1) await this.older();
  }

  #hear = (batch: Envelope[]): void => {
    for (const event of batch) this.#known.add(event);
    for (const listener of this.listeners) listener(batch);
    if (batch.some((event) => event.type === 'run.finished')) void this.refresh().catch(() => undefined);
    this.#draw();
  };

  #linked = (line: Line): void => {
    this.line = line;
    // Whoever is signed in no more is asked to sign in, wherever they are.
    if (line.state === 'closed' && line.reason !== 'deleted' && who.am) void who.ask();
  };

  /** What happened meanwhile was retired before it was heard: only the host knows how things stand now. */
  #missed = (_after: number, minAvailable: number): void => {
    this.minAvailable = minAvailable;
    if (minAvailable > this.#known.fold.head + 1) void this.open();
  };

  /** The store was restored, or came back behind: what is on the screen may never have happened. */
  #forgotten = (why: Problem): void => {
    const again = this.begunAnew !== null;
    this.begunAnew = why.detail;
    this.minAvailable = 1;
    setTimeout(() => void this.open(), again ? FORGOTTEN_WAIT_MS : 0);
  };

  /** Show what was folded, once per frame of the screen. A hidden page isn't drawn by the browser at all. */
  #draw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    const show = () => {
      this.#drawing = false;
      this.#show();
    };
    if (document.hidden) setTimeout(show, 100);
    else requestAnimationFrame(show);
  }

  #show(): void {
    this.view = this.#known.fold.view();
    this.first = this.#known.first;
    this.minAvailable = Math.max(this.minAvailable, this.#known.minAvailable);
  }
}

/** What the journal's end alone doesn't tell. Each answer is true as of its own number. */
function anchorsOf(info: SessionInfo, page: TranscriptPage): Anchor[] {
  const { input_tokens: input, output_tokens: output, cost } = info.usage;
  const run = info.run_id
    ? {
        id: info.run_id, status: info.status === 'waiting' ? ('waiting' as const) : ('running' as const), attempt: 1,
        startedAt: null, startedSeq: null, deadlineAt: null, stop: null,
      }
    : null;
  return [
    {
      asOf: info.as_of_seq,
      state: {
        title: info.title, labels: info.labels, queueHeld: info.queue_held, closed: info.status === 'closed',
        usage: { input, output, cost }, run,
      },
    },
    { asOf: page.as_of_seq, state: { waiting: page.waiting.map((one) => waitingOf(one, info)) } },
  ];
}

function waitingOf(item: TranscriptItem, info: SessionInfo): WaitingMessage {
  return {
    messageId: item.message_id,
    content: item.content,
    author: item.actor ? { user: item.actor } : null,
    seq: item.seq,
    at: info.updated_at,
    steers: item.status === 'steered' ? (item.run_id ?? info.run_id) : null,
    forSlot: item.status !== 'steered' && item.run_id !== null,
  };
}
