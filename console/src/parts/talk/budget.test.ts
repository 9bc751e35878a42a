// What is left of a budget, in words.

import { describe, expect, it } from 'vitest';
import type { Budget } from '../../lib/types/belongings';
import { budgetLines } from './budget';

const budget = (more: Partial<Budget>): Budget => ({ tokens: null, cost: null, tool_calls: null, scope: 'session', ask_at: null, ...more });
const session = { input_tokens: 900, output_tokens: 600, cost: 0.5 };

describe('a budget', () => {
  it('of a session is what the session spent', () => {
    expect(budgetLines(budget({ tokens: 2_000, cost: 2, ask_at: 0.8 }), session, [])).toEqual([
      { label: 'Tokens of this session', words: '1.5K of 2K', share: 0.75, askAt: 0.8 },
      { label: 'Cost of this session', words: '0.5 of 2', share: 0.25, askAt: 0.8 },
    ]);
  });

  it('of a run is what the last run spent', () => {
    const run = [{ model: 'm', input_tokens: 60, output_tokens: 40 }, { model: 'm', input_tokens: 100, output_tokens: 0, cost: 1 }];
    expect(budgetLines(budget({ tokens: 100, cost: 5, scope: 'run' }), session, run)).toEqual([
      { label: 'Tokens of this run', words: '200 of 100', share: 1, askAt: 1 },
      { label: 'Cost of this run', words: 'at most 5', share: 0, askAt: 1 },
    ]);
  });

  it('of a day tells only its limits', () => {
    expect(budgetLines(budget({ tool_calls: 7, scope: 'user_day' }), session, [])).toEqual([
      { label: 'Tool calls of the day', words: 'at most 7', share: 0, askAt: 1 },
    ]);
  });

  it('without limits has no lines', () => {
    expect(budgetLines(budget({}), session, [])).toEqual([]);
  });
});
