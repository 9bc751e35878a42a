// From a hit of a search to its place in the conversation: the number of the event at which a message stands.

import { get, Problem } from '../api';

interface Outline {
  data: { seq: number; id?: string | null }[];
  next_before: number | null;
}

/** So many landmarks are looked through at most, the latest first. */
const PAGES = 10;
const PAGE = 1_000;

/** The address of a message; that of its session, if its place can't be told. */
export async function addressOfMessage(sessionId: string, messageId: string): Promise<string> {
  const session = `/sessions/${sessionId}`;
  try {
    let before: number | null = null;
    for (let page = 0; page < PAGES; page += 1) {
      const outline: Outline = await get<Outline>(`/v1${session}/outline`, { before, limit: PAGE });
      const mark = outline.data.find((one) => one.id === messageId);
      if (mark) return `${session}#${mark.seq}`;
      if (outline.next_before === null) break;
      before = outline.next_before;
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
  return session;
}
