// Finds and keeps the events of one run: where in its session's journal they begin, and which are its own.

import { get, Problem } from '../api';
import type { Envelope } from '../types';

/** `at` may go backwards a little between hosts: look so many events before the place that it names. */
const MARGIN = 50;

/** The number from which on a run's events can be found, by halving: the last event before an instant. */
export async function placeOf(instant: string, head: number, atOf: (seq: number) => Promise<string | null>): Promise<number> {
  const wanted = Date.parse(instant);
  let [low, high] = [0, head];
  while (high - low > MARGIN) {
    const middle = Math.floor((low + high) / 2);
    const at = await atOf(middle);
    // What was retired is older than anything that is asked for.
    if (at === null || Date.parse(at) < wanted) low = middle;
    else high = middle;
  }
  return Math.max(0, low - MARGIN);
}

/** When an event of a session happened; null if it was retired. */
export function instantOf(path: string, signal: AbortSignal): (seq: number) => Promise<string | null> {
  return async (seq) => {
    try {
      return (await get<Envelope>(`${path}/events/${seq}`, undefined, signal)).at;
    } catch (error) {
      if (error instanceof Problem && [404, 410].includes(error.status)) return null;
      throw error;
    }
  };
}

export interface RunIdentity {
  id: string;
  message_id: string | null;
}

/** Says of each event whether it belongs to a run; it must hear them in order. */
export class Belonging {
  readonly #calls = new Set<string>();
  readonly #messages = new Set<string>();

  constructor(readonly run: RunIdentity) {
    if (run.message_id) this.#messages.add(run.message_id);
  }

  has(event: Envelope): boolean {
    const { data } = event;
    const own = event.run_id === this.run.id || data.run_id === this.run.id || data.interrupts === this.run.id || data.rolls_back === this.run.id;
    if (own && typeof data.message_id === 'string') this.#messages.add(data.message_id);
    if (own && typeof data.call_id === 'string') this.#calls.add(data.call_id);
    return (
      own ||
      (typeof data.message_id === 'string' && this.#messages.has(data.message_id)) ||
      (typeof data.call_id === 'string' && this.#calls.has(data.call_id)) ||
      (Array.isArray(data.run_ids) && data.run_ids.includes(this.run.id))
    );
  }
}

export const isPiece = (event: Envelope): boolean => event.type.endsWith('.delta');

/** The families of kinds that occur, and how many events each has: `tool` of `tool.call.started`. */
export function kindsOf(events: readonly Envelope[]): { name: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const event of events) {
    const name = event.type.split('.')[0] ?? event.type;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => a.name.localeCompare(b.name));
}

/** How many bytes an event takes as JSON. */
export const sizeOf = (event: Envelope): number => new TextEncoder().encode(JSON.stringify(event)).length;

/** Who made it happen, as far as the event tells. */
export function actorOf(event: Envelope): string {
  const { data } = event;
  if (typeof data.by === 'string') return data.by;
  const actor = data.actor;
  if (typeof actor === 'object' && actor !== null && 'user' in actor) return String(actor.user);
  return event.run_id ? 'agent' : '';
}

/** What it says, in a few words. */
export function gistOf(event: Envelope): string {
  const { data } = event;
  const text = (value: unknown) => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));
  const said = ['text', 'content', 'tool', 'detail', 'reason', 'name', 'summary', 'decision', 'status', 'key', 'model', 'message_ids', 'approval_ids', 'title', 'when_busy', 'call_id'];
  const name = said.find((one) => data[one] !== undefined && data[one] !== null && data[one] !== '');
  const words = [name ? text(data[name]) : '', name === 'tool' ? text(data.arguments) : '', name === 'reason' && data.status ? text(data.status) : ''];
  return words.filter(Boolean).join(' ').replace(/\s+/g, ' ').slice(0, 160);
}
