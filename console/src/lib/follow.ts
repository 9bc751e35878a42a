// Follows one session's journal as every client does: replay from a cursor, then live, again after a break.

import { EventSourceParserStream } from 'eventsource-parser/stream';
import { address, credentials, get, Problem, problemOf, reach } from './api';
import type { Envelope } from './types';

/** How the connection stands, for the dot that shows it. `behind` counts events still to come, if that is known. */
export type Line =
  | { state: 'connecting' }
  | { state: 'catching-up'; behind: number }
  | { state: 'live' }
  | { state: 'offline'; retryAt: number; why: string; behind: number }
  | { state: 'closed'; reason: string };

export interface Listener {
  events(batch: Envelope[]): void;
  line(line: Line): void;
  gap(after: number, minAvailable: number): void;
  /** The cursor means nothing to this store any more: what is known has to be read again. Following ends. */
  forgotten(why: Problem): void;
}

/** Events that come within one frame of the screen are told together. */
const FRAME_MS = 16;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** The host says something every 15 s; a connection silent for longer is dead. */
const SILENCE_MS = 40_000;
/** After a sleep nobody waits that long: what said nothing since before it, is dead. */
const WOKEN_MS = 17_000;
/** A page that nobody sees lets its connection go after this, since a browser has few for one host. */
const HIDDEN_MS = 60_000;
/** Why a stream ended that it makes no sense to open again. */
const FINAL = new Set(['deleted', 'revoked']);
const FINAL_STATUS = new Set([401, 403, 404]);
/** Refusals of a cursor that belongs to another history of the store. */
const FORGOTTEN = new Set(['history_changed', 'cursor_ahead']);

/** Follow until `signal` aborts. `after` is the last number that is known already. */
export function follow(sessionId: string, after: number, to: Listener, signal: AbortSignal): Promise<void> {
  return new Following(sessionId, after, to, signal).run();
}

class Following {
  #wait = FIRST_WAIT_MS;
  #history: string | null = null;
  /** The head as it was last asked for, to tell how far behind this is. */
  #head = 0;
  #first = true;
  #pausing = false;
  #until = 0;

  constructor(
    readonly sessionId: string,
    private cursor: number,
    readonly to: Listener,
    readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    while (!this.signal.aborted) {
      const why = await this.#try();
      if (why === null || this.signal.aborted) return;
      // Nobody looks: there is time to connect again when somebody does.
      if (document.hidden) {
        await seen(this.signal);
        continue;
      }
      const pause = this.#wait * (0.75 + Math.random() / 2);
      this.#offline(pause, why);
      // Told at once, and again if the host answers other questions than this one.
      void this.#ask().then(() => this.#pausing && this.#offline(this.#until - Date.now(), why));
      this.#pausing = true;
      await sleep(pause, this.signal);
      this.#pausing = false;
      this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
    }
  }

  #offline(pause: number, why: string): void {
    this.#until = Date.now() + pause;
    this.to.line({ state: 'offline', retryAt: this.#until, why, behind: this.#behind });
  }

  get #behind(): number {
    return Math.max(0, this.#head - this.cursor);
  }

  /** One connection. Why it ended, or null if there is nothing to follow any more. */
  async #try(): Promise<string | null> {
    const ended = new Ending(this.signal);
    try {
      const reason = await this.#read(ended);
      if (reason === null) return ended.why ?? 'The connection ended.';
      if (!FINAL.has(reason)) return reason === 'draining' ? 'The host is shutting down.' : 'The host ended the connection.';
      this.to.line({ state: 'closed', reason });
      return null;
    } catch (error) {
      if (this.signal.aborted) return null;
      if (ended.why) return ended.why;
      if (error instanceof Problem && FORGOTTEN.has(error.code)) {
        this.to.forgotten(error);
        return null;
      }
      if (error instanceof Problem && FINAL_STATUS.has(error.status)) {
        this.to.line({ state: 'closed', reason: error.code });
        return null;
      }
      return error instanceof Problem ? error.message : 'The connection broke.';
    } finally {
      ended.over();
    }
  }

  /** Read one connection to its end: the reason that the host gave for ending it, if it gave one. */
  async #read(ending: Ending): Promise<string | null> {
    const { sessionId, cursor, to } = this;
    const url = address(`/v1/sessions/${sessionId}/events`, { after: cursor, history: this.#history });
    const response = await reach(url, { headers: { accept: 'text/event-stream', ...credentials() }, signal: ending.signal });
    if (!response.ok || !response.body) throw await problemOf(response);
    this.#history = response.headers.get('tenure-history') ?? this.#history;
    to.line({ state: 'catching-up', behind: this.#behind });
    if (!this.#first) void this.#ask();
    this.#first = false;
    const frames = response.body
      .pipeThrough(passing(ending.heard))
      .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .pipeThrough(new EventSourceParserStream());
    let batch: Envelope[] = [];
    let timer = 0;
    let live = false;
    const flush = () => {
      clearTimeout(timer);
      const told = batch;
      batch = [];
      if (!told.length || this.signal.aborted) return;
      to.events(told);
      if (!live) to.line({ state: 'catching-up', behind: this.#behind });
    };
    try {
      for await (const frame of frames as unknown as AsyncIterable<{ id?: string; event?: string; data: string }>) {
        if (!frame.event) {
          const envelope = JSON.parse(frame.data) as Envelope;
          this.cursor = envelope.seq;
          this.#wait = FIRST_WAIT_MS;
          if (batch.push(envelope) === 1) timer = window.setTimeout(flush, FRAME_MS);
          continue;
        }
        flush();
        const said = JSON.parse(frame.data) as Record<string, unknown>;
        if (frame.event === 'up_to_date') {
          live = true;
          this.#wait = FIRST_WAIT_MS;
          to.line({ state: 'live' });
        }
        if (frame.event === 'gap') to.gap(Number(said.after), Number(said.min_available));
        if (frame.event === 'closed') return String(said.reason);
      }
      return null;
    } finally {
      flush();
    }
  }

  /** Learn how far the journal goes by now, if the host tells. */
  async #ask(): Promise<void> {
    try {
      const info = await get<{ head_seq: number }>(`/v1/sessions/${this.sessionId}`, undefined, this.signal);
      this.#head = info.head_seq;
    } catch {
      // Then it isn't known; the connection itself is tried again anyway.
    }
  }
}

/** Ends a connection that is dead, or that nobody looks at. `why` says so afterwards. */
class Ending {
  why: string | null = null;
  readonly signal: AbortSignal;
  #own = new AbortController();
  #silence = 0;
  #hidden = 0;
  #last = Date.now();

  constructor(outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#own.signal]);
    document.addEventListener('visibilitychange', this.#look);
    window.addEventListener('online', this.#woken);
    window.addEventListener('offline', this.#cut);
    window.addEventListener('pageshow', this.#woken);
    this.heard();
    this.#look();
  }

  heard = (): void => {
    this.#last = Date.now();
    clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => this.#end('The connection went silent.'), SILENCE_MS);
  };

  over(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#hidden);
    document.removeEventListener('visibilitychange', this.#look);
    window.removeEventListener('online', this.#woken);
    window.removeEventListener('offline', this.#cut);
    window.removeEventListener('pageshow', this.#woken);
  }

  #look = (): void => {
    clearTimeout(this.#hidden);
    if (document.hidden) this.#hidden = window.setTimeout(() => this.#end('Nobody looks.'), HIDDEN_MS);
    else this.#woken();
  };

  #woken = (): void => {
    if (Date.now() - this.#last > WOKEN_MS) this.#end('This device was asleep.');
  };

  /** A host on this very machine can be reached without a network, so it is asked before giving up. */
  #cut = (): void => {
    void fetch('/healthz', { cache: 'no-store' }).catch(() => this.#end('This device has no network.'));
  };

  #end(why: string): void {
    this.why ??= why;
    this.#own.abort();
  }
}

/** Passes bytes on, and tells of each. */
function passing(heard: () => void): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array> {
  return new TransformStream({
    transform(chunk, on) {
      heard();
      on.enqueue(chunk);
    },
  });
}

/** Until the page is looked at again. */
function seen(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', look);
      done();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
    look();
  });
}

/** A pause that ends early when there is a network again, or somebody looks again. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(finish, ms);
    function look(): void {
      if (!document.hidden) finish();
    }
    function finish(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      window.removeEventListener('online', finish);
      document.removeEventListener('visibilitychange', look);
      done();
    }
    signal.addEventListener('abort', finish);
    window.addEventListener('online', finish);
    document.addEventListener('visibilitychange', look);
  });
}
