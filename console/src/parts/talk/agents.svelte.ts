// What the agents of this host can do, asked for once per page.

import { get, Problem } from '../../lib/api';
import type { AgentInfo, Page } from '../../lib/types';

class Agents {
  all = $state.raw<AgentInfo[] | null>(null);
  #asked: Promise<void> | null = null;

  /** Ask, unless that was done already. What can't be known is treated as if it could be done: the host decides. */
  ask(): Promise<void> {
    this.#asked ??= get<Page<AgentInfo>>('/v1/agents').then(
      (page) => {
        this.all = page.data;
      },
      (error: unknown) => {
        this.#asked = null;
        if (!(error instanceof Problem)) throw error;
      },
    );
    return this.#asked;
  }

  named(name: string | undefined): AgentInfo | null {
    return this.all?.find((one) => one.name === name) ?? null;
  }

  /** Whether an agent is known not to do something. */
  lacks(name: string | undefined, capability: string): boolean {
    return this.named(name)?.capabilities[capability] === false;
  }
}

export const agents = new Agents();
