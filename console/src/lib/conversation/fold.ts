// Folds a journal into a conversation, as `tenure.core.transcript` does for the host, plus what only a person
// wants to see. It may begin in the middle: what came before is simply not there.

import type { Content, Envelope } from '../types';
import { textOf } from '../types';
import { type Anchor, begun, type Data, type Known, line, list, num, orNull, record, str } from './facts';
import type {
  CallLine, CallStatus, Item, LiveRun, MessageLine, Question, ReasoningLine, RunEnd, View,
} from './items';
import { Queue } from './queue';

type Step = (this: Fold, event: Envelope, data: Data) => void;

/** Types that are shown as thin lines, with nothing else to do. */
const NOTES = new Set([
  'session.created', 'session.forked', 'transcript.compacted', 'runner.warning', 'grant.reduced',
  'recall.scheduled', 'recall.deferred', 'recall.skipped', 'recall.missed', 'recall.retrying',
  'recall.changed', 'state.updated', 'artifact.failed',
]);

export class Fold extends Queue {
  queueHeld = false;
  title: string | null = null;
  labels: Record<string, string> = {};
  closed = false;
  deleted = false;
  usage: View['usage'] = { input: 0, output: 0, cost: null };
  undone: string[][] = [];
  head = 0;

  readonly ends = new Map<string, RunEnd>();

  #callOf = new Map<string, string>();
  /** Questions by their call: an attempt that starts over makes the same call, and it isn't asked again. */
  #questions = new Map<string, Question>();
  #messageOf = new Map<string, string>();
  #lastAt = '';
  #anchors: Anchor[];

  constructor(anchors: Anchor[] = [], known: ReadonlyMap<string, Known> = new Map()) {
    super(known);
    this.#anchors = anchors.toSorted((a, b) => a.asOf - b.asOf);
  }

  static of(events: Iterable<Envelope>, anchors: Anchor[] = [], known: ReadonlyMap<string, Known> = new Map()): Fold {
    const fold = new Fold(anchors, known);
    for (const event of events) fold.add(event);
    return fold;
  }

  /** Take in the next event. One that is known already changes nothing. */
  add(event: Envelope): void {
    if (event.seq <= this.head) return;
    this.reached(event.seq - 1);
    this.head = event.seq;
    const step = STEPS[event.type];
    if (step) step.call(this, event, event.data);
    else if (NOTES.has(event.type)) this.note(event);
    this.#lastAt = event.at;
  }

  /** Nothing that is folded later lies at or before this number. */
  reached(seq: number): void {
    this.head = Math.max(this.head, seq);
    while (this.#anchors[0] && this.#anchors[0].asOf <= this.head) {
      const { state } = this.#anchors.shift() as Anchor;
      // What the journal tells of the live run is more than the host's few words, if it is the same run.
      const { run, ...rest } = state;
      Object.assign(this, rest);
      if (run !== undefined && run?.id !== this.run?.id) this.run = run;
      for (const message of state.waiting ?? []) {
        if (!this.messages.has(message.messageId)) this.messages.set(message.messageId, { ...message, recall: false });
      }
    }
  }

  view(): View {
    const { head, waiting, run, queueHeld, title, labels, closed, deleted, usage, undone, ends } = this;
    return { head, items: [...this.items], waiting, run, queueHeld, title, labels, closed, deleted, usage, undone, ends };
  }

  /** The number after which the pieces of what is still being said begin; null if nothing is. */
  unfinished(): number | null {
    const open = [...this.open].map((key) => this.get(key)).filter((item) => item && item.kind !== 'call');
    return open.length ? Math.min(...open.map((item) => item?.seq ?? Infinity)) : null;
  }

  #live(changes: Partial<LiveRun>): void {
    if (this.run) this.run = { ...this.run, ...changes };
  }

  // Runs

  started(event: Envelope, data: Data): void {
    const trigger = record(data.trigger);
    this.run = begun(str(event.run_id), 'running', event, orNull(data.deadline_at));
    this.undone = [];
    const id = str(trigger.message_id) || str(trigger.id);
    // A command waits like a message, but nothing of it stands in the thread.
    if (trigger.kind === 'command') return this.leave(id);
    const extra = trigger.kind === 'recall' ? { recall: true, scheduleId: orNull(trigger.id) } : {};
    // A run that was tried again takes the same message, which keeps its place: say where the new try begins.
    this.#messageOf.set(String(event.run_id), id);
    if (!this.enter(id, event, extra)) return;
    this.change<MessageLine>(id, { runId: event.run_id });
    this.note(event);
  }

  pending(): void {
    this.#live({ status: 'waiting' });
  }

  resumed(_: Envelope, data: Data): void {
    this.#live({ status: 'running', attempt: num(data.attempt) });
  }

  retried(event: Envelope, data: Data): void {
    const superseded = (item: Item) =>
      !item.superseded && item.runId === event.run_id && item.kind !== 'note' && !(item.kind === 'message' && item.role === 'user');
    // The next attempt may make the same calls under the same ids: those are lines of their own.
    this.items.forEach((item, at) => {
      if (!superseded(item)) return;
      this.place.delete(item.key);
      this.open.delete(item.key);
      const still = item.kind === 'message' || item.kind === 'reasoning' ? { streaming: false } : {};
      this.items[at] = { ...item, ...still, key: `${item.key}~${event.seq}`, superseded: true } as Item;
    });
    this.note(event);
    this.#live({ status: 'running', attempt: num(data.attempt), startedAt: event.at });
  }

  interrupting(event: Envelope, data: Data): void {
    const stop = { by: str(data.by), at: event.at, force: data.force === true, reason: str(data.reason) };
    this.#live({ status: 'interrupting', stop });
  }

  finished(event: Envelope, data: Data): void {
    this.cut(event, (item) => item.runId === event.run_id);
    this.returned.clear();
    const live = this.run?.id === event.run_id ? this.run : null;
    if (live) this.run = null;
    this.ends.set(String(event.run_id), { seq: event.seq, status: str(data.status) });
    if (data.status === 'completed') return;
    this.put({
      ...line(event, `end:${event.run_id}`),
      kind: 'end', status: str(data.status), reason: str(data.reason), retryable: data.retryable === true,
      stop: live?.stop ?? null, startedAt: live?.startedAt ?? null,
    });
  }

  // What the agent says

  said(event: Envelope, data: Data): void {
    const id = str(data.message_id);
    const known = this.get<MessageLine>(id);
    if (known) return this.change<MessageLine>(id, { content: textOf(known.content) + str(data.text), lastSeq: event.seq });
    this.put({
      ...line(event, id),
      kind: 'message', messageId: id, role: 'assistant', content: str(data.text), author: null,
      streaming: true, partial: false, steering: false, recall: false, scheduleId: null, missing: false,
      lastSeq: event.seq,
    });
    this.open.add(id);
  }

  saidAll(event: Envelope, data: Data): void {
    const id = str(data.message_id);
    if (!this.place.has(id)) this.said(event, { message_id: id, text: '' });
    this.open.delete(id);
    this.change<MessageLine>(id, {
      content: data.content as Content, streaming: false, partial: data.partial === true, lastSeq: event.seq,
    });
  }

  thought(event: Envelope, data: Data): void {
    const key = `reasoning:${str(data.message_id)}`;
    const known = this.get<ReasoningLine>(key);
    if (known) return this.change<ReasoningLine>(key, { text: known.text + str(data.text) });
    this.put({
      ...line(event, key),
      kind: 'reasoning', messageId: str(data.message_id), text: str(data.text), streaming: true, partial: false, endedAt: null,
    });
    this.open.add(key);
  }

  thoughtAll(event: Envelope, data: Data): void {
    const key = `reasoning:${str(data.message_id)}`;
    // A brief journal leaves the pieces out; then it began after what came before it.
    if (!this.place.has(key)) this.thought({ ...event, at: this.#lastAt || event.at }, { message_id: data.message_id, text: '' });
    this.open.delete(key);
    this.change<ReasoningLine>(key, {
      text: textOf(data.content as Content), streaming: false, partial: data.partial === true, endedAt: event.at,
    });
  }

  // What the agent does

  #call(event: Envelope, data: Data): string {
    const key = str(data.call_id);
    if (!this.place.has(key)) {
      this.put({
        ...line(event, key),
        kind: 'call', callId: key, tool: str(data.tool), arguments: record(data.arguments), status: 'running',
        result: undefined, replayed: false, endedAt: null, question: this.#questions.get(key) ?? null,
      });
      this.open.add(key);
    }
    return key;
  }

  called(event: Envelope, data: Data): void {
    const key = this.#call(event, data);
    this.change<CallLine>(key, { tool: str(data.tool), arguments: record(data.arguments), status: 'running' });
  }

  answered(event: Envelope, data: Data): void {
    const key = this.#call(event, data);
    this.open.delete(key);
    this.change<CallLine>(key, {
      status: data.status as CallStatus, result: data.result, replayed: data.replayed === true, endedAt: event.at,
    });
  }

  asked(event: Envelope, data: Data): void {
    const key = this.#call(event, data);
    const question: Question = {
      id: str(data.approval_id), arguments: record(data.arguments), digest: str(data.digest),
      requestedAt: event.at, expiresAt: str(data.expires_at), seq: event.seq, reason: orNull(data.reason),
      done: list(data.done), own: data.own === true, decision: null, by: null, note: null, remember: null,
      edited: null, resolvedAt: null,
    };
    this.#callOf.set(question.id, key);
    this.#questions.set(key, question);
    this.change<CallLine>(key, { question });
  }

  decided(event: Envelope, data: Data): void {
    const key = this.#callOf.get(str(data.approval_id));
    const asked = key === undefined ? undefined : this.#questions.get(key);
    if (key === undefined || !asked) return;
    const question = {
      ...asked,
      decision: str(data.decision), by: orNull(data.by), note: orNull(data.note), remember: orNull(data.remember),
      edited: data.arguments === undefined || data.arguments === null ? null : record(data.arguments),
      resolvedAt: event.at,
    };
    this.#questions.set(key, question);
    this.change<CallLine>(key, { question });
  }

  filed(event: Envelope, data: Data): void {
    this.put({
      ...line(event, str(data.artifact_id)),
      kind: 'file', fileId: str(data.artifact_id), name: str(data.name), mediaType: str(data.media_type),
      size: num(data.size), by: orNull(data.by), deleted: false,
    });
  }

  discarded(_: Envelope, data: Data): void {
    this.change(str(data.artifact_id), { deleted: true });
  }

  spent(_: Envelope, data: Data): void {
    const cost = typeof data.cost === 'number' ? (this.usage.cost ?? 0) + data.cost : this.usage.cost;
    this.usage = { input: this.usage.input + num(data.input_tokens), output: this.usage.output + num(data.output_tokens), cost };
  }

  /** What became of a call whose outcome nobody knew. */
  settled(event: Envelope, data: Data): void {
    const key = str(data.call_id);
    if (data.status === 'ok' || data.status === 'error') this.change<CallLine>(key, { status: data.status });
    this.note(event);
  }

  // The session itself

  created(event: Envelope, data: Data): void {
    this.title = orNull(data.title);
    this.labels = record(data.labels) as Record<string, string>;
    if (data.parent) this.#cutOff(event);
    this.note(event);
  }

  /** A fork goes on from here: what was open in its parent isn't. */
  #cutOff(event: Envelope): void {
    this.waiting = [];
    this.run = null;
    this.queueHeld = false;
    this.closed = false;
    this.usage = { input: 0, output: 0, cost: null };
    this.cut(event, () => true);
    this.items.forEach((item, at) => {
      if (item.kind === 'call' && item.question && item.question.decision === null) {
        this.items[at] = { ...item, question: { ...item.question, decision: 'withdrawn', resolvedAt: event.at } };
      }
    });
  }

  renamed(event: Envelope, data: Data): void {
    if ('title' in data) this.title = orNull(data.title);
    if ('labels' in data) this.labels = record(data.labels) as Record<string, string>;
    this.note(event);
  }

  shut(event: Envelope): void {
    this.closed = event.type === 'session.closed';
    this.deleted = event.type === 'session.deleted';
    this.note(event);
  }

  held(event: Envelope): void {
    this.queueHeld = event.type === 'queue.held';
    if (this.waiting.length) this.note(event);
  }

  takenBack(event: Envelope, data: Data): void {
    const runs = new Set(list(data.run_ids));
    const messages = new Set(list(data.message_ids));
    this.changeAll((item) => this.#isOf(item, runs, messages), { undone: true });
    this.undone = [...this.undone, [...runs]];
    this.note(event);
  }

  putBack(event: Envelope, data: Data): void {
    const runs = new Set(list(data.run_ids));
    const messages = new Set(list(data.message_ids));
    this.changeAll((item) => this.#isOf(item, runs, messages), { undone: false });
    this.undone = this.undone.slice(0, -1);
    this.note(event);
  }

  /** Whether a line belongs to turns. Tries that failed before the last one belong to its turn too. */
  #isOf(item: Item, runs: Set<string>, messages: Set<string>): boolean {
    if (item.kind === 'note' && item.type.startsWith('transcript.')) return false;
    if (item.kind === 'message' && messages.has(item.messageId)) return true;
    return item.runId !== null && (runs.has(item.runId) || messages.has(this.#messageOf.get(item.runId) ?? ''));
  }
}

const STEPS: Record<string, Step> = {
  'message.admitted': Fold.prototype.admitted,
  'message.updated': Fold.prototype.updated,
  'message.promoted': Fold.prototype.promoted,
  'message.withdrawn': Fold.prototype.withdrawn,
  'steering.consumed': Fold.prototype.consumed,
  'run.started': Fold.prototype.started,
  'run.waiting': Fold.prototype.pending,
  'run.resumed': Fold.prototype.resumed,
  'run.retried': Fold.prototype.retried,
  'run.interrupting': Fold.prototype.interrupting,
  'run.finished': Fold.prototype.finished,
  'message.delta': Fold.prototype.said,
  'message.completed': Fold.prototype.saidAll,
  'reasoning.delta': Fold.prototype.thought,
  'reasoning.completed': Fold.prototype.thoughtAll,
  'tool.call.started': Fold.prototype.called,
  'tool.call.completed': Fold.prototype.answered,
  'approval.requested': Fold.prototype.asked,
  'approval.resolved': Fold.prototype.decided,
  'artifact.created': Fold.prototype.filed,
  'artifact.deleted': Fold.prototype.discarded,
  'effect.resolved': Fold.prototype.settled,
  'usage.recorded': Fold.prototype.spent,
  'session.created': Fold.prototype.created,
  'session.updated': Fold.prototype.renamed,
  'session.closed': Fold.prototype.shut,
  'session.reopened': Fold.prototype.shut,
  'session.deleted': Fold.prototype.shut,
  'queue.held': Fold.prototype.held,
  'queue.released': Fold.prototype.held,
  'transcript.undone': Fold.prototype.takenBack,
  'transcript.redone': Fold.prototype.putBack,
};
