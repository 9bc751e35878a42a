// What a calendar shows: of each schedule what was, from its history, and what is to come, foreseen by the host.
// Read again only for schedules that moved on, and not more often than every few seconds.

import { get, post, Problem } from '../../lib/api';
import type { Page } from '../../lib/types';
import { entryOf, gridBetween, nameOf, type Entry } from './calendar';
import type { OccurrenceInfo, Preview, ScheduleInfo } from './types';
import { localOf, startOf } from './zones';

/** The pages of one schedule: its entries, since when they are whole, and from when on it goes on undrawn. */
export interface Leaf {
  schedule: ScheduleInfo;
  entries: Entry[];
  wholeFrom: number;
  goesOnFrom: number;
}

const MOST_SCHEDULES = 100;
const MOST_PAST = 500;
const MOST_FORESEEN = 100;
/** So many instants of an interval are drawn; if there are more, none is. */
const MOST_OF_GRID = 800;
const AT_ONCE = 4;
const REST_MS = 10_000;

interface Kept {
  leaf: Leaf;
  mark: string;
  readAt: number;
}

export class Book {
  leaves = $state.raw<Leaf[]>([]);
  /** How many schedules stand in no leaf because there are too many of them. */
  leftOut = $state(0);
  fault = $state.raw<Problem | null>(null);
  reading = $state(false);

  #kept = new Map<string, Kept>();
  #asked = 0;

  constructor(private readonly zone: string) {}

  /** Show these schedules from a moment to another one. */
  async show(schedules: ScheduleInfo[], from: number, to: number): Promise<void> {
    const asked = ++this.#asked;
    const shown = schedules.toSorted(soonest).slice(0, MOST_SCHEDULES);
    this.leftOut = schedules.length - shown.length;
    this.reading = true;
    const waiting = shown.slice();
    const fault: { problem: Problem | null } = { problem: null };
    const worker = async () => {
      for (let one = waiting.shift(); one && asked === this.#asked; one = waiting.shift()) {
        try {
          await this.#read(one, from, to);
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          fault.problem = error;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (asked !== this.#asked) return;
    this.fault = fault.problem;
    this.reading = false;
    this.leaves = shown.flatMap((one) => this.#kept.get(one.id)?.leaf ?? []);
  }

  async #read(schedule: ScheduleInfo, from: number, to: number): Promise<void> {
    const mark = `${from} ${to} ${schedule.updated_at} ${schedule.next_at} ${schedule.runs} ${schedule.last?.id} ${schedule.last?.outcome}`;
    const kept = this.#kept.get(schedule.id);
    const now = Date.now();
    const same = kept?.mark.startsWith(`${from} ${to} `) ?? false;
    if (kept && (kept.mark === mark || (same && now - kept.readAt < REST_MS))) return;
    const [past, future] = await Promise.all([pastOf(schedule, from, now), futureOf(schedule, from, to, this.zone)]);
    const leaf = {
      schedule, entries: [...past.entries, ...future.entries].filter((one) => one.at >= from && one.at < to),
      wholeFrom: past.whole, goesOnFrom: future.goesOnFrom,
    };
    this.#kept.set(schedule.id, { leaf, mark, readAt: now });
  }
}

/** What comes next first, then what came last. */
function soonest(a: ScheduleInfo, b: ScheduleInfo): number {
  if (a.next_at && b.next_at) return a.next_at.localeCompare(b.next_at);
  if (a.next_at || b.next_at) return a.next_at ? -1 : 1;
  return (b.last?.due_at ?? '').localeCompare(a.last?.due_at ?? '');
}

/** What became of its occurrences, as far back as one page goes. */
async function pastOf(schedule: ScheduleInfo, from: number, now: number): Promise<{ entries: Entry[]; whole: number }> {
  if (!schedule.last || from > now) return { entries: [], whole: -Infinity };
  if (schedule.at && schedule.runs <= 1 && !schedule.last.manual) return { entries: [entryOf(schedule, schedule.last)], whole: -Infinity };
  const page = await get<Page<OccurrenceInfo>>(`/v1/schedules/${schedule.id}/occurrences`, { limit: MOST_PAST });
  const entries = page.data.filter((one) => one.state !== 'due').map((one) => entryOf(schedule, one));
  const oldest = Math.min(...entries.map((one) => one.at));
  return { entries, whole: page.next_cursor === null ? -Infinity : oldest };
}

/** What comes, as the host foresees it; an interval is a grid, and needs nobody to foresee it. */
async function futureOf(schedule: ScheduleInfo, from: number, to: number, zone: string): Promise<{ entries: Entry[]; goesOnFrom: number }> {
  const next = schedule.next_at === null ? Infinity : Date.parse(schedule.next_at);
  if (schedule.status !== 'active' || next >= to) return { entries: [], goesOnFrom: Infinity };
  const due = (at: number): Entry => ({ schedule: schedule.id, name: nameOf(schedule), at, state: 'due', runId: null });
  const whole = (instants: number[]) => ({ entries: instants.map(due), goesOnFrom: Infinity });
  const left = schedule.max_runs === null ? Infinity : schedule.max_runs - schedule.runs;
  const ends = schedule.ends_at === null ? Infinity : Date.parse(schedule.ends_at);
  if (schedule.every_s && schedule.anchor) {
    const begin = left === Infinity ? Math.max(next, from) : next;
    const { at, total } = gridBetween(schedule.every_s * 1_000, Date.parse(schedule.anchor), begin - 1, Math.min(to, ends + 1), Math.min(left, MOST_OF_GRID));
    return at.length < Math.min(total, left) ? { entries: [], goesOnFrom: next } : whole(at);
  }
  if (!schedule.cron) return whole([next]);
  const { next: foreseen } = await post<Preview>('/v1/schedules/preview', {
    cron: schedule.cron, timezone: schedule.timezone, count: MOST_FORESEEN,
    ...(ends < Infinity && { ends_at: schedule.ends_at }), ...(left < Infinity && { max_runs: left }),
  });
  const instants = [next, ...foreseen.map((one) => Date.parse(one)).filter((at) => at > next)];
  const last = instants.at(-1) ?? next;
  if (foreseen.length < MOST_FORESEEN || last >= to) return whole(instants);
  // The last day isn’t known to its end, so it isn’t drawn.
  const goesOnFrom = Math.max(next, startOf(localOf(last, zone).day, zone));
  return { entries: instants.filter((at) => at < goesOnFrom).map(due), goesOnFrom };
}
