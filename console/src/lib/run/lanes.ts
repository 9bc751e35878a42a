// A run as lanes over time: how long it waited, ran, spoke, called tools and waited for people.

import type { Envelope } from '../types';
import { textOf, type Content } from '../types';

export type BarKind = 'queue' | 'running' | 'waiting' | 'stopping' | 'speech' | 'thought' | 'call' | 'question';

export interface Bar {
  id: string;
  kind: BarKind;
  /** Milliseconds since 1970; `to` is null while it goes on. */
  from: number;
  to: number | null;
  label: string;
  /** How it ended: a state's name. */
  state: string;
  /** The event that began it; null if the journal doesn't hold it. */
  seq: number | null;
  row: number;
}

export type PointKind = 'steering' | 'stop' | 'retry' | 'file' | 'state' | 'usage' | 'warning' | 'grant' | 'recall';

export interface Point {
  id: string;
  kind: PointKind;
  at: number;
  label: string;
  seq: number;
}

export interface Lane {
  id: string;
  label: string;
  rows: number;
  bars: Bar[];
  points: Point[];
}

export interface Lanes {
  lanes: Lane[];
  from: number;
  /** When it ended; null while it is live. */
  to: number | null;
}

interface Known {
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
  status: string;
}

const ms = (at: string) => Date.parse(at);
const str = (value: unknown) => (typeof value === 'string' ? value : '');
const cut = (text: string) => (text.length > 80 ? `${text.slice(0, 79)}…` : text).replace(/\s+/g, ' ').trim();

/** The lanes of a run, from its events in their order. */
export function lanesOf(run: Known, events: readonly Envelope[]): Lanes {
  const draft = new Draft(run);
  for (const event of events) draft.add(event);
  return draft.done();
}

class Draft {
  #bars: (Bar & { lane: string })[] = [];
  #points: Point[] = [];
  #open = new Map<string, Bar>();
  #attempt = 1;
  #now = '';

  constructor(readonly run: Known) {
    const started = run.started_at ?? run.finished_at;
    this.#bar('run', { id: 'queue', kind: 'queue', from: ms(run.queued_at), label: 'Waiting for its turn', state: 'queued', seq: null });
    if (started) this.#end('queue', ms(started), 'done');
  }

  add(event: Envelope): void {
    STEPS[event.type]?.call(this, event, ms(event.at), event.data);
  }

  done(): Lanes {
    const end = this.run.finished_at ? ms(this.run.finished_at) : null;
    if (end !== null) for (const id of [...this.#open.keys()]) this.#end(id, end, 'unknown');
    const order = ['run', 'says', 'thinks', 'asks'];
    const names = [...new Set(this.#bars.map((bar) => bar.lane))];
    names.sort((a, b) => (order.indexOf(a) + 1 || 4.5) - (order.indexOf(b) + 1 || 4.5));
    const lanes = names.map((name) => packed(name, this.#bars.filter((bar) => bar.lane === name)));
    if (this.#points.length) lanes.push({ id: 'marks', label: 'Marks', rows: 1, bars: [], points: this.#points });
    return { lanes: lanes.filter((lane) => lane.bars.length + lane.points.length > 0), from: ms(this.run.queued_at), to: end };
  }

  #bar(lane: string, bar: Omit<Bar, 'row' | 'to'>): void {
    const made = { ...bar, to: null, row: 0, lane };
    this.#bars.push(made);
    this.#open.set(bar.id, made);
  }

  #end(id: string, at: number, state: string, label?: string): void {
    const bar = this.#open.get(id);
    if (!bar) return;
    bar.to = Math.max(at, bar.from);
    bar.state = state;
    if (label) bar.label = label;
    this.#open.delete(id);
  }

  #point(kind: PointKind, event: Envelope, label: string): void {
    this.#points.push({ id: `point-${event.seq}`, kind, at: ms(event.at), label, seq: event.seq });
  }

  /** The run itself is one bar after the other: running, waiting for people, stopping. */
  #phase(kind: BarKind, event: Envelope, label: string, state: string): void {
    const at = ms(event.at);
    this.#end('queue', at, 'done');
    this.#end(this.#now, at, 'done');
    this.#now = `phase-${event.seq}`;
    this.#bar('run', { id: this.#now, kind, from: at, label, state, seq: event.seq });
  }

  started(event: Envelope): void {
    this.#phase('running', event, 'Attempt 1', 'running');
  }

  pending(event: Envelope): void {
    this.#phase('waiting', event, 'Waiting for people', 'waiting');
  }

  resumed(event: Envelope, _at: number, data: Record<string, unknown>): void {
    this.#attempt = Number(data.attempt) || this.#attempt;
    this.#phase('running', event, `Attempt ${this.#attempt}, ${str(data.mode)}`, 'running');
  }

  retried(event: Envelope, at: number, data: Record<string, unknown>): void {
    for (const id of [...this.#open.keys()]) if (id !== this.#now && !id.startsWith('question')) this.#end(id, at, 'unknown');
    this.#attempt = Number(data.attempt) || this.#attempt + 1;
    this.#phase('running', event, `Attempt ${this.#attempt}`, 'running');
    this.#point('retry', event, `Attempt ${this.#attempt} began: ${str(data.reason)}`);
  }

  interrupting(event: Envelope, _at: number, data: Record<string, unknown>): void {
    this.#phase('stopping', event, 'Stopping', 'interrupting');
    this.#point('stop', event, `${str(data.by)} asked it to stop${data.force === true ? ', by force' : ''}`);
  }

  finished(_: Envelope, at: number, data: Record<string, unknown>): void {
    this.#end('queue', at, 'done');
    const phase = this.#open.get(this.#now);
    this.#end(this.#now, at, str(data.status), phase && `${phase.label}: ${str(data.status)}${data.reason ? `, ${str(data.reason)}` : ''}`);
  }

  said(event: Envelope, at: number, data: Record<string, unknown>): void {
    const thinks = event.type.startsWith('reasoning');
    const id = `${thinks ? 'thought' : 'speech'}-${str(data.message_id)}-${this.#attempt}`;
    const whole = event.type.endsWith('.completed');
    if (!this.#open.has(id) && !this.#bars.some((bar) => bar.id === id)) {
      const words = whole ? textOf(data.content as Content) : str(data.text);
      this.#bar(thinks ? 'thinks' : 'says', { id, kind: thinks ? 'thought' : 'speech', from: at, label: cut(words), state: 'running', seq: event.seq });
    }
    if (whole) this.#end(id, at, data.partial === true ? 'cancelled' : 'ok', cut(textOf(data.content as Content)));
  }

  called(event: Envelope, at: number, data: Record<string, unknown>): void {
    const id = `call-${str(data.call_id)}-${this.#attempt}`;
    const label = cut(`${str(data.tool)} ${data.arguments === undefined ? '' : JSON.stringify(data.arguments)}`);
    if (!this.#open.has(id)) this.#bar(`tool ${str(data.tool)}`, { id, kind: 'call', from: at, label, state: 'running', seq: event.seq });
  }

  answered(_: Envelope, at: number, data: Record<string, unknown>): void {
    const prefix = `call-${str(data.call_id)}-`;
    const id = [...this.#open.keys()].find((one) => one.startsWith(prefix));
    if (id) this.#end(id, at, str(data.status));
  }

  asked(event: Envelope, at: number, data: Record<string, unknown>): void {
    this.#bar('asks', { id: `question-${str(data.approval_id)}`, kind: 'question', from: at, label: `May it call ${str(data.tool)}?`, state: 'pending', seq: event.seq });
  }

  decided(_: Envelope, at: number, data: Record<string, unknown>): void {
    const id = `question-${str(data.approval_id)}`;
    const bar = this.#open.get(id);
    this.#end(id, at, str(data.decision), bar && `${bar.label} ${str(data.decision)} by ${str(data.by)}`);
  }

  steered(event: Envelope, _at: number, data: Record<string, unknown>): void {
    const n = Array.isArray(data.message_ids) ? data.message_ids.length : 1;
    this.#point('steering', event, `It read ${n === 1 ? 'a message that steers it' : `${n} messages that steer it`}`);
  }

  noted(event: Envelope, _at: number, data: Record<string, unknown>): void {
    const [kind, label] = NOTES[event.type] ?? [];
    if (kind && label) this.#point(kind, event, label(data));
  }
}

type Step = (this: Draft, event: Envelope, at: number, data: Record<string, unknown>) => void;

const NOTES: Record<string, [PointKind, (data: Record<string, unknown>) => string]> = {
  'artifact.created': ['file', (data) => `File ${str(data.name)}`],
  'state.updated': ['state', (data) => `State ${str(data.scope)} ${str(data.key)}`],
  'usage.recorded': ['usage', (data) => `${str(data.model)}: ${String(data.input_tokens)} tokens in, ${String(data.output_tokens)} out`],
  'runner.warning': ['warning', (data) => `Warning ${str(data.code)}: ${str(data.detail)}`],
  'grant.reduced': ['grant', () => 'Its grant was reduced'],
  'recall.scheduled': ['recall', (data) => `Planned a recall ${str(data.explanation)}`],
};

const { prototype: p } = Draft;
const STEPS: Record<string, Step> = {
  'run.started': p.started, 'run.waiting': p.pending, 'run.resumed': p.resumed, 'run.retried': p.retried,
  'run.interrupting': p.interrupting, 'run.finished': p.finished,
  'message.delta': p.said, 'message.completed': p.said, 'reasoning.delta': p.said, 'reasoning.completed': p.said,
  'tool.call.started': p.called, 'tool.call.completed': p.answered,
  'approval.requested': p.asked, 'approval.resolved': p.decided, 'steering.consumed': p.steered,
  ...Object.fromEntries(Object.keys(NOTES).map((type) => [type, p.noted])),
};

const LABELS: Record<string, string> = { run: 'Run', says: 'Says', thinks: 'Thinks', asks: 'Asks people' };

/** Bars that overlap stand in rows of their own. */
function packed(name: string, bars: Bar[]): Lane {
  const ends: number[] = [];
  for (const bar of bars) {
    let row = ends.findIndex((end) => end <= bar.from);
    if (row < 0) row = ends.length;
    ends[row] = bar.to ?? Infinity;
    bar.row = row;
  }
  return { id: name, label: LABELS[name] ?? name.replace(/^tool /, ''), rows: Math.max(1, ends.length), bars, points: [] };
}

/** Instants at which to draw the time axis: at most `most`, at even distances that people count in. */
export function ticksOf(from: number, to: number, most: number): { at: number; label: string }[] {
  const span = Math.max(1, to - from);
  const step = STEPS_MS.find((one) => span / one <= most) ?? 86_400_000;
  const ticks: { at: number; label: string }[] = [];
  for (let at = 0; at <= span; at += step) ticks.push({ at: from + at, label: offset(at) });
  return ticks;
}

const STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((n) => [n]).concat([1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200].map((n) => n * 1_000));

/** "+340 ms", "+12 s", "+4:10", since the run was admitted. */
export function offset(ms: number): string {
  if (ms === 0) return '0';
  if (ms < 1_000) return `+${Math.round(ms)} ms`;
  if (ms < 60_000) return `+${Number((ms / 1_000).toFixed(1))} s`;
  const [hours, minutes, seconds] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, Math.floor(ms / 1_000) % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return hours ? `+${hours}:${two(minutes)}:${two(seconds)}` : `+${minutes}:${two(seconds)}`;
}
