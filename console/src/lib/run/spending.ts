// What a run spent, per model call and in all.

import type { Envelope, Usage } from '../types';

export interface ModelCall {
  seq: number;
  at: string;
  model: string;
  input: number;
  output: number;
  /** null is unknown, not zero. */
  cost: number | null;
}

export interface ModelSum {
  model: string;
  calls: number;
  input: number;
  output: number;
  cost: number | null;
}

const num = (value: unknown) => (typeof value === 'number' ? value : 0);

export function callsOf(events: readonly Envelope[]): ModelCall[] {
  return events
    .filter((event) => event.type === 'usage.recorded')
    .map(({ seq, at, data }) => ({
      seq, at, model: String(data.model), input: num(data.input_tokens), output: num(data.output_tokens),
      cost: typeof data.cost === 'number' ? data.cost : null,
    }));
}

/** Sums by model. A cost that one call doesn't tell makes the sum unknown. */
export function sumsOf(calls: readonly (ModelCall | Usage)[]): ModelSum[] {
  const sums = new Map<string, ModelSum>();
  for (const call of calls) {
    const [input, output] = 'input' in call ? [call.input, call.output] : [call.input_tokens, call.output_tokens];
    const sum = sums.get(call.model) ?? { model: call.model, calls: 0, input: 0, output: 0, cost: 0 };
    const cost = sum.cost === null || call.cost === null || call.cost === undefined ? null : sum.cost + call.cost;
    sums.set(call.model, { ...sum, calls: sum.calls + 1, input: sum.input + input, output: sum.output + output, cost });
  }
  return [...sums.values()];
}

/** "$0.0123"; small sums keep two figures that say something. */
export function money(cost: number | null): string {
  if (cost === null) return 'unknown';
  return `$${cost >= 1 || cost === 0 ? cost.toFixed(2) : cost.toPrecision(2).replace(/e.*/, '')}`;
}
