// What the lines of a thread say in words: notes, ends of runs, who somebody is.

import type { Author, EndLine, NoteLine } from './items';

export interface Words {
  text: string;
  /** Where more of it is found. */
  link?: { href: string; text: string };
  /** Shown when somebody asks for it. */
  more?: string;
  tone?: 'wants' | 'bad';
}

const DEEDS_OF: Record<string, string> = {
  deadline: 'its deadline', rule: 'a standing permission', clock: 'the clock', runner: 'the agent', host: 'the host',
};

/** Somebody, as their reader would name them: “You”, a name, or what acted by itself. */
export function nameOf(by: string | null | undefined, me: string | null): string {
  if (!by) return 'Somebody';
  if (by === me) return 'You';
  return DEEDS_OF[by] ?? by;
}

export function authorOf(author: Author | null, me: string | null): string {
  return author?.name || nameOf(author?.user, me);
}

const upper = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);
const several = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
const str = (value: unknown): string => (typeof value === 'string' ? value : '');
const num = (value: unknown): number => (typeof value === 'number' ? value : 0);
const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

type Say = (data: Record<string, unknown>, me: string | null) => Words;

const schedule = (data: Record<string, unknown>) => ({ href: `/schedules/${str(data.schedule_id)}`, text: 'the schedule' });

const WARNINGS: Record<string, string> = {
  sequence_duplicate: 'The agent sent an output twice; it counts once',
  sequence_gap: 'The agent left out a number of its output; nothing is missing here',
  sequence_invalid: 'The agent sent an output without a proper number; it counts',
  payload_invalid: 'The agent sent something that can’t be read; it was left out',
  late_result: 'The agent sent something after its run was over; it was left out',
  abandoned: 'The agent didn’t stop when it was told to, and was left behind',
  context_rebuilt: 'The agent lost its own memory of this session and was given the transcript',
  model_retried: 'The model didn’t answer and was asked again',
  tool_refused: 'The agent asked for a tool that this run may not use',
  state_refused: 'The agent’s change of state was refused',
  state_ignored: 'The agent’s change of state was left out',
  verify_failed: 'Whether a tool call took effect couldn’t be checked',
  checkpoint_too_large: 'The agent’s checkpoint was too large to keep; a restart would begin the run again',
};

const NOTES: Record<string, Say> = {
  'session.created': (data, me) => {
    const parent = data.parent as { session_id?: unknown; seq?: unknown } | null;
    if (!parent) return { text: `${nameOf(str(data.owner), me)} opened this session with ${str(data.agent)}` };
    const at = num(parent.seq);
    return { text: 'Forked from', link: { href: `/sessions/${str(parent.session_id)}#${at}`, text: `the other session at #${at}` } };
  },
  'session.forked': (data) => ({ text: `Forked at #${num(data.at_seq)} into`, link: { href: `/sessions/${str(data.child_id)}`, text: 'a session of its own' } }),
  'session.updated': (data, me) => ({
    text: 'title' in data
      ? data.title === null ? `${nameOf(str(data.by), me)} removed the title` : `${nameOf(str(data.by), me)} named this session “${str(data.title)}”`
      : `${nameOf(str(data.by), me)} changed the labels`,
  }),
  'session.closed': (data, me) => ({ text: `${nameOf(str(data.by), me)} closed this session${because(data.reason)}` }),
  'session.reopened': (data, me) => ({ text: `${nameOf(str(data.by), me)} reopened this session${because(data.reason)}` }),
  'session.deleted': (data, me) => ({ text: `${nameOf(str(data.by), me)} deleted this session`, tone: 'bad' }),
  'message.withdrawn': (data, me) => ({
    text: data.replaced_by ? 'A waiting message was replaced by a newer one'
      : data.reason === 'principal_gone' ? 'A waiting message was withdrawn: whoever sent it may send nothing any more'
      : `${upper(nameOf(str(data.by), me))} withdrew a waiting message`,
    more: str(data.text),
  }),
  'queue.held': (data, me) => ({ text: `Waiting messages are held since ${nameOf(str(data.by), me).replace('You', 'you')} stopped the run` }),
  'queue.released': () => ({ text: 'Waiting messages go on' }),
  'run.started': () => ({ text: 'Tried again with the same message' }),
  'run.retried': (data) => ({ text: data.reason === 'approval' ? `Began again after the answer (attempt ${num(data.attempt)})` : `Attempt ${num(data.attempt) - 1} was cut off${because(data.reason)}. Attempt ${num(data.attempt)} starts over` }),
  'transcript.undone': (data, me) => {
    const kept = list(data.kept);
    const by = str(data.by) ? `${nameOf(str(data.by), me)} took back` : 'Took back';
    return { text: `${by} ${several(list(data.run_ids).length, 'turn')}${kept.length ? '. What can’t be taken back stays' : ''}`, more: kept.join('\n') };
  },
  'transcript.redone': (data) => ({ text: `${several(list(data.run_ids).length, 'turn')} put back` }),
  'transcript.compacted': (data) => ({ text: `Compacted: instead of all up to #${num(data.covers_through)} the agent reads a summary`, more: str(data.summary) }),
  'runner.warning': (data) => ({ text: WARNINGS[str(data.code)] ?? `Warning ${str(data.code)}`, more: str(data.detail) }),
  'grant.reduced': (data) => ({ text: `This run may use less from here on: ${list(data.removed).join(', ')}` }),
  'effect.resolved': (data) => ({ text: `What became of a call is known now: ${data.status === 'ok' ? 'it took effect' : str(data.status)}` }),
  'artifact.failed': (data) => ({ text: `The file ${str(data.name)} could not be kept${because(data.reason)}`, tone: 'bad' }),
  'recall.scheduled': (data) => ({ text: `Scheduled${data.explanation ? `: ${str(data.explanation)}` : ''}. See`, link: schedule(data) }),
  'recall.deferred': (data) => ({ text: 'Due, and waits behind the live run. See', link: schedule(data) }),
  'recall.skipped': (data) => ({ text: `A scheduled run was left out${because(data.reason)}. See`, link: schedule(data) }),
  'recall.missed': (data) => ({ text: `${several(num(data.count), 'scheduled run')} missed${because(data.reason)}. See`, link: schedule(data), tone: 'wants' }),
  'recall.retrying': (data) => ({ text: `A scheduled run failed and is tried again (attempt ${num(data.attempt)}). See`, link: schedule(data) }),
  'recall.changed': (data) => ({ text: `The schedule is ${str(data.status)}${because(data.reason)}. See`, link: schedule(data) }),
};

export function noteWords(note: NoteLine, me: string | null): Words {
  return NOTES[note.type]?.(note.data, me) ?? { text: note.type };
}

/** “: host lost”; reasons are codes or sentences, and a code is read as words. */
function because(reason: unknown): string {
  const said = reasonWords(str(reason));
  return said ? `: ${said}` : '';
}

const REASONS: Record<string, string> = {
  host_lost: 'its host was lost', runner_ended: 'the agent ended without saying how it went', deadline: 'its time was up',
  deadline_exceeded: 'its time was up', idle: 'nothing came from it for too long', budget_exhausted: 'its budget is spent',
  interrupted: '', output_too_large: 'it said more than it may', principal_gone: 'whoever asked may ask for nothing any more',
};

export function reasonWords(reason: string): string {
  return REASONS[reason] ?? (/^[a-z]+(_[a-z]+)+$/.test(reason) ? reason.replaceAll('_', ' ') : reason);
}

/** What a superseded attempt is told in one line: why, and how much of it there is. */
export function attemptWords(retried: NoteLine | null, lines: number): string {
  const much = several(lines, 'line');
  if (retried?.data.reason === 'approval') return `Before the answer: ${much}. The run began again, and repeated no finished call`;
  const attempt = num(retried?.data.attempt);
  return `Attempt ${attempt ? attempt - 1 : 1} was cut off${because(retried?.data.reason)}: ${much}, superseded`;
}

/** How a run ended, where it wasn’t completed. `at` is the time of day. */
export function endWords(end: EndLine, me: string | null, at: string): string {
  const reason = reasonWords(end.reason);
  const tail = reason ? `: ${reason}` : '';
  switch (end.status) {
    case 'failed':
      return `Failed at ${at}${tail}`;
    case 'timed_out':
      return `Timed out at ${at}${end.reason === 'deadline' ? '' : tail}`;
    case 'lost':
      return `Lost at ${at}: its host was gone, and no attempt was left`;
    case 'cancelled': {
      const by = end.stop ? ` by ${nameOf(end.stop.by, me).replace(/^You$/, 'you')}` : '';
      return `Stopped${by} at ${at}${end.stop?.force ? ', by force' : ''}`;
    }
    default:
      return `${upper(end.status)} at ${at}${tail}`;
  }
}

/** Changes of state that follow each other, in one line. */
export function stateWords(items: readonly NoteLine[]): Words {
  const gone = items.filter((item) => item.data.deleted === true).length;
  const set = items.length - gone;
  const parts = [...(set ? [`set ${several(set, 'key')}`] : []), ...(gone ? [`removed ${several(gone, 'key')}`] : [])];
  const more = items.map(({ data }) => `${str(data.scope)} ${str(data.key)} ${data.deleted === true ? 'removed' : `= ${JSON.stringify(data.value) ?? 'null'}`}`);
  return { text: `State: ${parts.join(', ')}`, more: more.join('\n') };
}

/** The arguments of a call in one short line. */
export function argumentWords(given: Record<string, unknown>): string {
  return Object.entries(given)
    .map(([name, value]) => `${name}: ${typeof value === 'string' && value ? value : JSON.stringify(value)}`)
    .join(' · ')
    .slice(0, 300);
}
