// The list of sessions on the screen: read again every two seconds while somebody looks, longer as they scroll.

import { untrack } from 'svelte';
import { get, Problem } from '../api';
import { Live } from '../live.svelte';
import type { Page } from '../types';
import { refreshed, rowsOf, type Part, type ReadPart, type SessionRow } from './rows';

const PART = 50;
const EVERY_MS = 2_000;

export type Query = Record<string, string | string[]>;

let last: { whose: string; list: SessionList } | null = null;

const isSame = (one: Query, other: Query) => JSON.stringify(one) === JSON.stringify(other);

export class SessionList {
  rows = $state.raw<readonly SessionRow[]>([]);
  /** Nothing is known yet. */
  reading = $state(true);
  loadingMore = $state(false);
  /** While a menu or a question is open, nothing moves under it. */
  held = $state(false);

  #parts = $state.raw<readonly Part[]>([]);
  #turn = 0;
  #query: Query;
  #live: Live<Part[]>;

  /** The list that was looked at last, if it is the same: who comes back finds it as long as it was. */
  static remembered(whose: string, query: Query): SessionList {
    if (last?.whose !== whose || !isSame(last.list.#query, query)) last = { whose, list: new SessionList(query) };
    return last.list;
  }

  constructor(query: Query) {
    this.#query = query;
    this.#live = new Live((signal) => this.#read(signal), EVERY_MS);
  }

  get fault(): Problem | null {
    return this.#live.fault;
  }

  /** Whether there are more behind what is shown. */
  get more(): boolean {
    return (this.#parts.at(-1)?.next ?? null) !== null;
  }

  /** What a reading looks at, it also changes: an effect that begins it must not begin it anew for that. */
  start = (): (() => void) => untrack(this.#live.start);

  /** Whether what is shown answers this query. */
  answers(query: Query): boolean {
    return !this.reading && isSame(query, this.#query);
  }

  /** Ask for others. What is shown stays until they are there. */
  ask(query: Query): void {
    if (isSame(query, this.#query)) return;
    this.#query = query;
    this.#parts = [];
    this.reading = true;
    void this.#live.again();
  }

  again = (): Promise<void> => this.#live.again();

  async further(): Promise<void> {
    const last = this.#parts.at(-1);
    if (this.loadingMore || !last || last.next === null) return;
    this.loadingMore = true;
    const query = this.#query;
    try {
      const page = await this.#page(last.next);
      // Meanwhile the list may have been read again, or be another one.
      if (query !== this.#query || this.#parts.at(-1)?.next !== last.next) return;
      this.#show([...this.#parts, { cursor: last.next, rows: page.data, next: page.next_cursor }]);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    } finally {
      this.loadingMore = false;
    }
  }

  /** Every session that the filter finds, at most `most`; `told` hears how many there are so far. */
  async all(most: number, told: (count: number) => void, signal: AbortSignal): Promise<SessionRow[]> {
    const found: SessionRow[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<SessionRow> = await this.#page(cursor, signal, Math.min(500, most - found.length));
      found.push(...page.data);
      told(found.length);
      cursor = page.next_cursor;
    } while (cursor !== null && found.length < most);
    return found;
  }

  async #read(signal: AbortSignal): Promise<Part[]> {
    if (this.held && !this.reading) return [...this.#parts];
    const query = this.#query;
    const read: ReadPart = (cursor) => this.#page(cursor, signal);
    const before = this.#parts;
    const parts = await refreshed(before, read, this.#turn++);
    // Whoever scrolled on meanwhile keeps what they got.
    const behind = this.#parts.length > before.length && before.length === parts.length ? this.#parts.slice(before.length) : [];
    if (query === this.#query) this.#show([...parts, ...behind]);
    return parts;
  }

  #show(parts: readonly Part[]): void {
    this.#parts = parts;
    this.rows = rowsOf(parts, this.rows);
    this.reading = false;
  }

  #page(cursor: string | null, signal?: AbortSignal, limit = PART): Promise<Page<SessionRow>> {
    return get<Page<SessionRow>>('/v1/sessions', { ...this.#query, limit, cursor }, signal);
  }
}
