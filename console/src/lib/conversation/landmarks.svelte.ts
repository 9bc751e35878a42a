// The marks of the whole journal for the spine: what is known here, and for what lies before it what the host tells.

import { get, Problem } from '../api';
import type { OpenSession } from '../session.svelte';
import { type MarkKind, marksOf, type SpineMark } from './marks';

/** How many marks of the part that isn't known here are asked for at most. */
const PAGES = 10;
const PAGE = 1_000;

interface Landmark {
  seq: number;
  kind: string;
  status?: string | null;
  name?: string | null;
}

interface Outline {
  data: Landmark[];
  next_before: number | null;
}

export class Landmarks {
  #before = $state.raw<SpineMark[]>([]);
  #asked = false;
  readonly #here = $derived.by(() => marksOf(this.session.view.items));
  readonly marks = $derived.by(() => [...this.#before.filter((mark) => mark.seq < this.session.first), ...this.#here]);

  constructor(private readonly session: OpenSession) {
    $effect(() => {
      if (this.#asked || !session.ready || session.first <= session.minAvailable) return;
      this.#asked = true;
      void this.#read(session.first);
    });
  }

  async #read(before: number): Promise<void> {
    try {
      let next: number | null = before;
      for (let page = 0; page < PAGES && next !== null; page += 1) {
        const found: Outline = await get<Outline>(`${this.session.path}/outline`, { before: next, limit: PAGE }, this.session.signal);
        const marks = found.data.flatMap((one) => {
          const kind = kindOf(one);
          return kind ? [{ seq: one.seq, kind, label: one.name ?? WORDS[kind] }] : [];
        });
        this.#before = [...marks, ...this.#before];
        next = found.next_before;
      }
    } catch (error) {
      // A host that can't tell leaves the line bare; reading back fills it.
      if (!(error instanceof Problem) && !(error instanceof DOMException)) throw error;
    }
  }
}

const WORDS: Record<MarkKind, string> = {
  said: 'A message', answered: 'An answer', called: 'A tool call', asked: 'A question', decided: 'A question', recalled: 'A recall',
  undone: 'Undo', failed: 'A run failed', stopped: 'A run was stopped', filed: 'A file', noted: 'A note',
};

const ENDS: Record<string, MarkKind> = { failed: 'failed', timed_out: 'failed', lost: 'failed', cancelled: 'stopped' };
const KINDS: Record<string, MarkKind> = {
  user: 'said', assistant: 'answered', call: 'called', approval: 'decided', recall: 'recalled', undone: 'undone', redone: 'undone',
  undo: 'undone', redo: 'undone', compaction: 'noted', fork: 'noted', file: 'filed',
};

function kindOf({ kind, status }: Landmark): MarkKind | null {
  if (kind === 'run') return ENDS[status ?? ''] ?? null;
  if (kind === 'approval' && status === 'pending') return 'asked';
  return KINDS[kind] ?? null;
}
