// Something read from the host again and again while somebody looks at it: lists, figures.

import { Problem } from './api';

export class Live<T> {
  value = $state.raw<T | null>(null);
  /** Why the last reading failed; what was read before still stands. */
  fault = $state.raw<Problem | null>(null);
  readAt = $state(0);

  #timer: number | undefined;
  #asked = 0;
  #over = new AbortController();

  /** `read` is asked at once and then every `everyMs`, while the page is visible. */
  constructor(
    private readonly read: (signal: AbortSignal) => Promise<T>,
    private readonly everyMs: number,
  ) {}

  /** Begin; returns the way to end it, as `$effect` wants it. */
  start = (): (() => void) => {
    this.#over = new AbortController();
    document.addEventListener('visibilitychange', this.#seen);
    void this.again();
    return () => {
      this.#over.abort();
      clearTimeout(this.#timer);
      document.removeEventListener('visibilitychange', this.#seen);
    };
  };

  /** Read now. A reading that was overtaken by a newer one is dropped. */
  again = async (): Promise<void> => {
    clearTimeout(this.#timer);
    const signal = this.#over.signal;
    const asked = ++this.#asked;
    try {
      const value = await this.read(signal);
      if (asked !== this.#asked || signal.aborted) return;
      this.value = value;
      this.fault = null;
      this.readAt = Date.now();
    } catch (error) {
      if (signal.aborted || asked !== this.#asked) return;
      if (!(error instanceof Problem)) throw error;
      this.fault = error;
    }
    if (!document.hidden) this.#timer = window.setTimeout(this.again, this.everyMs);
  };

  #seen = (): void => {
    if (!document.hidden) void this.again();
  };
}
