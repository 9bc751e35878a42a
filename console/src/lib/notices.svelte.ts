// Short words that appear at the edge and go again: what was done, or what was refused and the way out.

import { Problem, wordsOf } from './api';

export interface Notice {
  id: number;
  text: string;
  kind: 'said' | 'refused';
  action?: { label: string; run: () => void };
}

class Notices {
  all = $state.raw<Notice[]>([]);
  #last = 0;

  say(text: string, action?: Notice['action']): void {
    this.#add({ text, kind: 'said', ...(action && { action }) }, 6_000);
  }

  refuse(error: unknown): void {
    if (error instanceof DOMException && error.name === 'AbortError') return;
    this.#add({ text: wordsOf(error), kind: 'refused' }, 12_000);
    if (!(error instanceof Problem)) console.error(error);
  }

  /** Do something; if it is refused, say so. Whether it went well. */
  async attempt(deed: () => Promise<unknown>, done?: string): Promise<boolean> {
    try {
      await deed();
      if (done) this.say(done);
      return true;
    } catch (error) {
      this.refuse(error);
      return false;
    }
  }

  drop(id: number): void {
    this.all = this.all.filter((one) => one.id !== id);
  }

  #add(notice: Omit<Notice, 'id'>, ms: number): void {
    const id = ++this.#last;
    this.all = [...this.all.slice(-3), { id, ...notice }];
    setTimeout(() => this.drop(id), ms);
  }
}

export const notices = new Notices();
