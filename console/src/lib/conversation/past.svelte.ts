// The conversation as it stood at a moment that somebody chose on the spine, and the way back to now.

import { Problem } from '../api';
import type { OpenSession } from '../session.svelte';
import type { View } from './items';
import type { Stretch } from './journal';

/** What a thread shows: a live session, or a moment of one. */
export interface Source {
  readonly view: View;
  readonly first: number;
  readonly minAvailable: number;
  readonly loadingOlder: boolean;
  older(): Promise<void>;
}

/** How many events a look at a moment asks for: enough for a screen, few enough for dragging. */
const MOMENT = 80;
const PAGE = 400;

class Moment implements Source {
  view = $state.raw() as View;
  first = $state(1);
  minAvailable = $state(1);
  loadingOlder = $state(false);

  constructor(
    readonly at: number,
    private readonly stretch: Stretch,
  ) {
    this.#show();
  }

  async older(): Promise<void> {
    if (this.loadingOlder || this.stretch.complete) return;
    this.loadingOlder = true;
    try {
      await this.stretch.older(PAGE);
      this.#show();
    } finally {
      this.loadingOlder = false;
    }
  }

  #show(): void {
    this.view = this.stretch.fold.view();
    this.first = this.stretch.first;
    this.minAvailable = this.stretch.minAvailable;
  }
}

export class Past {
  /** The moment that somebody chose; null is now. */
  at = $state<number | null>(null);
  /** The latest moment that could be read. It may lag a little behind `at` while somebody drags. */
  shown = $state.raw<Moment | null>(null);
  fault = $state.raw<Problem | null>(null);

  #reading = false;

  constructor(private readonly session: OpenSession) {}

  /** Show the conversation as it stood after this event; the head, or what lies beyond it, is now. */
  go(seq: number): void {
    if (seq >= this.session.view.head) return this.leave();
    this.at = Math.max(seq, this.session.minAvailable, 1);
    void this.#read();
  }

  leave(): void {
    this.at = null;
    this.shown = null;
    this.fault = null;
  }

  /** One reading at a time; what was chosen meanwhile is read next, and what lies between is left out. */
  async #read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.at !== null && this.shown?.at !== this.at) {
        const at = this.at;
        const stretch = await this.session.past(at, MOMENT);
        if (this.at !== null) this.shown = new Moment(at, stretch);
      }
      this.fault = null;
    } catch (error) {
      if (error instanceof Problem) this.fault = error;
      else if (!(error instanceof DOMException)) throw error;
    } finally {
      this.#reading = false;
    }
  }
}
