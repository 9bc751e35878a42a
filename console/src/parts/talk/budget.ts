// What is left of what a run's grant allows to be spent. Pure.

import { brief } from '../../lib/clock.svelte';
import type { Spent, Usage } from '../../lib/types';
import type { Budget } from '../../lib/types/belongings';

export interface Meter {
  label: string;
  words: string;
  share: number;
  /** The share at which a person is asked. */
  askAt: number;
}

const OVER = { run: 'of this run', session: 'of this session', user_day: 'of the day' };

/** The lines of a budget. What a user spent over a day isn't told to every reader, so only the limit is shown. */
export function budgetLines(budget: Budget, session: Spent | null, run: Usage[]): Meter[] {
  const spent = budget.scope === 'session' ? session : budget.scope === 'run' ? sum(run) : null;
  const lines: Meter[] = [];
  const add = (what: string, limit: number | null, used: number | null) => {
    if (limit === null) return;
    const words = used === null ? `at most ${brief(limit)}` : `${brief(used)} of ${brief(limit)}`;
    lines.push({ label: `${what} ${OVER[budget.scope]}`, words, share: used === null || limit === 0 ? 0 : Math.min(1, used / limit), askAt: budget.ask_at ?? 1 });
  };
  add('Tokens', budget.tokens, spent && spent.input_tokens + spent.output_tokens);
  add('Cost', budget.cost, spent?.cost ?? null);
  add('Tool calls', budget.tool_calls, null);
  return lines;
}

function sum(usage: Usage[]): Spent {
  const cost = usage.every((one) => typeof one.cost === 'number') && usage.length ? usage.reduce((all, one) => all + (one.cost ?? 0), 0) : null;
  return {
    input_tokens: usage.reduce((all, one) => all + one.input_tokens, 0),
    output_tokens: usage.reduce((all, one) => all + one.output_tokens, 0),
    cost,
  };
}
