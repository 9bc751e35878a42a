// What occurs in the sessions within reach, for suggestions and counts. Read when the screen opens, and now and then.

import { get, Problem } from '../api';
import type { AgentInfo, Page } from '../types';
import { NO_FACETS, type Facets } from './suggestions';

/** The facets; on a host that doesn't count them, at least the agents there are. */
export async function readFacets(signal: AbortSignal): Promise<Facets> {
  try {
    return await get<Facets>('/v1/sessions/facets', undefined, signal);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    const agents = await get<Page<AgentInfo>>('/v1/agents', undefined, signal);
    return { ...NO_FACETS, agents: agents.data.map((one) => ({ name: one.name, count: 0 })) };
  }
}
