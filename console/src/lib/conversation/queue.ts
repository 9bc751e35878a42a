// Messages of people while a journal is folded: those that wait, in the order of the queue, and the way each takes
// from there into the thread.

import type { Content, Envelope } from '../types';
import { textOf } from '../types';
import { begun, type Data, type Known, line, list, orNull, record, str } from './facts';
import type { Author, LiveRun, MessageLine, WaitingMessage } from './items';
import { Lines } from './lines';

interface Admitted {
  content: Content;
  author: Author | null;
  at: string;
  seq: number;
  recall: boolean;
}


export class Queue extends Lines {
  waiting: WaitingMessage[] = [];
  run: LiveRun | null = null;
  /** Messages that a run took and whose admission isn't in the part that was folded. */
  readonly missing = new Set<string>();

  protected messages = new Map<string, Admitted>();
  /** Steering that a run which ends now didn't take. */
  protected returned = new Set<string>();

  constructor(private readonly known: ReadonlyMap<string, Known>) {
    super();
  }

  admitted(event: Envelope, data: Data): void {
    const actor = record(data.actor);
    const author = { user: str(actor.user), role: str(actor.role), name: orNull(actor.name) };
    const message = { content: data.content as Content, author, at: event.at, seq: event.seq };
    const id = str(data.message_id);
    this.messages.set(id, { ...message, recall: data.occurrence !== undefined });
    if (data.disposition === 'merged') return this.#join(str(data.into), message.content);
    if (data.disposition === 'started') return;
    const steers = data.disposition === 'steered' ? str(data.run_id) : null;
    const forSlot = !steers && Boolean(data.run_id);
    if (forSlot) this.run = begun(str(data.run_id), 'queued', null, null);
    const waiting = { ...message, messageId: id, steers, forSlot };
    const first = data.interrupts !== undefined || data.rolls_back !== undefined;
    const others = this.waiting.filter((one) => one.messageId !== id);
    this.waiting = first ? [waiting, ...others] : [...others, waiting];
  }

  #join(into: string, content: Content): void {
    const known = this.messages.get(into);
    if (!known) return;
    known.content = `${textOf(known.content)}\n${textOf(content)}`;
    this.#edit(into, known.content);
  }

  #edit(id: string, content: Content): void {
    const known = this.messages.get(id);
    if (known) known.content = content;
    this.waiting = this.waiting.map((one) => (one.messageId === id ? { ...one, content } : one));
  }

  updated(_: Envelope, data: Data): void {
    this.#edit(str(data.message_id), data.content as Content);
  }

  promoted(_: Envelope, data: Data): void {
    const id = str(data.message_id);
    const known = this.waiting.find((one) => one.messageId === id);
    const rest = this.waiting.filter((one) => one.messageId !== id);
    if (!known) return;
    const steers = data.as === 'steering' ? (orNull(data.run_id) ?? this.run?.id ?? null) : null;
    const moved = { ...known, steers, forSlot: data.as !== 'steering' && Boolean(data.run_id) };
    // Untaken steering goes to the front in its order, and the events tell it in that order.
    if (data.as === 'run') this.returned.add(id);
    const at = data.as === 'run' ? rest.findIndex((one) => !one.steers && !this.returned.has(one.messageId)) : 0;
    rest.splice(at < 0 ? rest.length : at, 0, moved);
    this.waiting = rest;
  }

  withdrawn(event: Envelope, data: Data): void {
    const id = str(data.message_id);
    this.waiting = this.waiting.filter((one) => one.messageId !== id);
    const known = this.messages.get(id);
    this.put({
      ...line(event, `note:${event.seq}`),
      kind: 'note',
      type: event.type,
      data: { ...data, text: known ? textOf(known.content) : '' },
    });
  }

  /** It waits no longer. */
  protected leave(id: string): void {
    this.waiting = this.waiting.filter((one) => one.messageId !== id);
  }

  /** A run took the message: it stands in the thread from here on. Whether it stood there already. */
  protected enter(id: string, event: Envelope, extra: Partial<MessageLine>): boolean {
    this.leave(id);
    if (this.place.has(id)) return true;
    const admitted = this.messages.get(id);
    const known = admitted ?? this.known.get(id);
    if (!known) this.missing.add(id);
    this.put({
      ...line(event, id),
      kind: 'message', messageId: id, role: 'user', content: known?.content ?? '', author: known?.author ?? null,
      at: admitted?.at ?? event.at, streaming: false, partial: false, steering: false, recall: admitted?.recall ?? false,
      scheduleId: null, missing: !known, lastSeq: event.seq, ...extra,
    });
    return false;
  }

  consumed(event: Envelope, data: Data): void {
    for (const id of list(data.message_ids)) this.enter(id, event, { steering: true });
  }

  note(event: Envelope): void {
    this.put({ ...line(event, `note:${event.seq}`), kind: 'note', type: event.type, data: event.data });
  }
}
