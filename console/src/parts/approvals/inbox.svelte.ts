// What waits for a person over all sessions within reach, kept up while somebody looks.

import { get, post, Problem } from '../../lib/api';
import { Live } from '../../lib/live.svelte';
import type { ApprovalInfo, EventPage, Page, SessionInfo } from '../../lib/types';
import { inOrder } from './sorting';

const EVERY_MS = 2_000;
/** How long something that was decided stays where it stood. */
const STAYS_MS = 20_000;

export class Inbox {
  readonly pending = new Live((signal) => this.#read(signal), EVERY_MS);
  /** What was decided while it was on the screen. */
  #settled = $state.raw<{ info: ApprovalInfo; until: number }[]>([]);
  #sessions = $state.raw<Record<string, SessionInfo | null>>({});
  #last: ApprovalInfo[] = [];

  get shown(): ApprovalInfo[] {
    return inOrder(this.pending.value ?? [], this.#settled.map((one) => one.info));
  }

  get waiting(): number {
    return this.pending.value?.length ?? 0;
  }

  session(id: string): SessionInfo | null {
    return this.#sessions[id] ?? null;
  }

  /** Approve all of them, as they were asked. Those that somebody else decided meanwhile stay decided. */
  async approveAll(ids: string[]): Promise<{ approved: number; late: number }> {
    let late = 0;
    for (const id of ids) {
      try {
        await post(`/v1/approvals/${id}`, { decision: 'approve' });
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'already_resolved')) throw error;
        late += 1;
      }
    }
    await this.pending.again();
    return { approved: ids.length - late, late };
  }

  async #read(signal: AbortSignal): Promise<ApprovalInfo[]> {
    const all: ApprovalInfo[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<ApprovalInfo> = await get('/v1/approvals', { status: 'pending', limit: 200, cursor }, signal);
      all.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor && all.length < 1_000);
    await this.#settle(all, signal);
    this.#last = all;
    void this.#introduce(all);
    return all;
  }

  /** What waited a moment ago and waits no more: read what became of it. */
  async #settle(pending: ApprovalInfo[], signal: AbortSignal): Promise<void> {
    const waits = new Set(pending.map((one) => one.id));
    const gone = this.#last.filter((one) => !waits.has(one.id)).slice(0, 50);
    const found = await Promise.all(gone.map((one) => get<ApprovalInfo>(`/v1/approvals/${one.id}`, undefined, signal).catch(absent)));
    const now = Date.now();
    const fresh = found.flatMap((info) => (info ? [{ info, until: now + STAYS_MS }] : []));
    if (fresh.length || this.#settled.some((one) => one.until < now)) {
      this.#settled = [...this.#settled.filter((one) => one.until >= now), ...fresh];
    }
  }

  /** Learn the titles of sessions that are seen for the first time. */
  async #introduce(pending: ApprovalInfo[]): Promise<void> {
    const unknown = [...new Set(pending.map((one) => one.session_id))].filter((id) => !(id in this.#sessions)).slice(0, 40);
    for (const id of unknown) {
      const info = await get<SessionInfo>(`/v1/sessions/${id}`).catch(absent);
      this.#sessions = { ...this.#sessions, [id]: info };
    }
  }
}

function absent(error: unknown): null {
  if (error instanceof Problem || (error instanceof DOMException && error.name === 'AbortError')) return null;
  throw error;
}

/** The address of a question in its session. What waits stands near the end of the journal. */
export async function placeOf(approval: ApprovalInfo): Promise<string> {
  const path = `/sessions/${approval.session_id}`;
  const page = await get<EventPage>(`/v1${path}/events`, { brief: true, before: Number.MAX_SAFE_INTEGER, limit: 500 }).catch(absent);
  const event = page?.data.find((one) => one.type === 'approval.requested' && one.data.approval_id === approval.id);
  return event ? `${path}#${event.seq}` : path;
}
