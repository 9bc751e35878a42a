// What the host says a form would do, asked a moment after the last letter.

import { post, Problem } from '../../lib/api';
import { FieldFault, policiesOf, timingOf, type Draft } from './form';
import type { Preview } from './types';
import { HERE, known } from './zones';

const QUIET_MS = 250;

export class Foresight {
  preview = $state.raw<Preview | null>(null);
  /** The zone that it was asked for; by now something else may be typed. */
  zone = HERE;
  /** What can’t be, by the field as the host names it; `''` where it names none. */
  faults = $state.raw<Record<string, string>>({});
  asking = $state(false);

  #timer: number | undefined;
  #over = new AbortController();

  /** Ask about a form; whatever was asked before is dropped. */
  ask(draft: Draft): void {
    this.stop();
    let body: Record<string, unknown>;
    try {
      body = { ...timingOf(draft), ...policiesOf(draft), count: 5 };
    } catch (error) {
      return this.#refused(error);
    }
    const zone = draft.when === 'every' ? HERE : known(draft.zone);
    this.asking = true;
    this.#timer = window.setTimeout(() => void this.#ask(body, zone), QUIET_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#over.abort();
    this.#over = new AbortController();
    this.asking = false;
  }

  async #ask(body: Record<string, unknown>, zone: string): Promise<void> {
    const { signal } = this.#over;
    try {
      const preview = await post<Preview>('/v1/schedules/preview', body, { signal });
      this.zone = zone;
      this.preview = preview;
      this.faults = {};
      this.asking = false;
    } catch (error) {
      if (!signal.aborted) this.#refused(error);
    }
  }

  #refused(error: unknown): void {
    this.asking = false;
    this.preview = null;
    this.faults = faultsOf(error);
  }
}

/** A refusal by the field it is about. Anything but a refusal is raised again. */
export function faultsOf(error: unknown): Record<string, string> {
  if (error instanceof FieldFault) return { [error.field]: error.message };
  if (!(error instanceof Problem)) throw error;
  const { field } = error.facts;
  return { [typeof field === 'string' ? field : '']: error.detail };
}
