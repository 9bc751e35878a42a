// What the filter bar offers while somebody types: the conditions there are, and the values that occur.

import { STATES, tokensOf, type Filter, type Kind } from './filters';

export interface Facet {
  name: string;
  count: number;
}

/** What occurs in the sessions within reach. */
export interface Facets {
  agents: readonly Facet[];
  statuses: readonly Facet[];
  owners: readonly Facet[];
  labels: Readonly<Record<string, readonly string[]>>;
}

export const NO_FACETS: Facets = { agents: [], statuses: [], owners: [], labels: {} };

export interface Suggestion {
  id: string;
  /** As one would type it. */
  text: string;
  /** What it means, where that isn't plain. */
  aside: string;
  /** The condition that it sets; null if it only begins one. */
  part: { kind: Kind; value: string } | null;
  /** What of the typed text it stands for. */
  from: number;
  to: number;
}

const MOST = 8;
const BEGINNINGS: { kind: Kind; aside: string }[] = [
  { kind: 'state', aside: 'waiting, running, failed, idle, closed' },
  { kind: 'agent', aside: 'who answers' },
  { kind: 'owner', aside: 'whose it is' },
  { kind: 'label', aside: 'name=value' },
];

interface Value {
  kind: Kind;
  value: string;
  aside: string;
}

/** Suggestions for what the caret stands in, best first. */
export function suggest(text: string, caret: number, filter: Filter, facets: Facets, seesOthers: boolean): Suggestion[] {
  const token = tokensOf(text).find((one) => one.from < caret && caret <= one.to);
  const [from, to] = token ? [token.from, token.to] : [caret, caret];
  const all = values(filter, facets, seesOthers);
  if (token?.kind) {
    const typed = token.value.toLowerCase();
    return matching(all.filter((one) => one.kind === token.kind), typed).map((one) => suggestion(one, from, to));
  }
  const word = (token?.value ?? '').toLowerCase();
  const begin = BEGINNINGS.filter(({ kind }) => kind.startsWith(word) && isOpen(kind, filter, seesOthers)).map(({ kind, aside }) => ({
    id: `begin-${kind}`, text: `${kind}:`, aside, part: null, from, to,
  }));
  const named = word.length < 2 ? [] : matching(all, word).map((one) => suggestion(one, from, to));
  return [...begin, ...named].slice(0, MOST);
}

function isOpen(kind: Kind, filter: Filter, seesOthers: boolean): boolean {
  if (kind === 'owner' && !seesOthers) return false;
  return kind === 'label' || !filter[kind];
}

function values(filter: Filter, facets: Facets, seesOthers: boolean): Value[] {
  const counted = (facet: Facet | undefined) => (facet ? String(facet.count) : '');
  const found: Value[] = [];
  for (const [value, word] of Object.entries(STATES)) {
    const facet = facets.statuses.find((one) => one.name === value);
    found.push({ kind: 'state', value, aside: [word, counted(facet)].filter(Boolean).join(' · ') });
  }
  for (const facet of facets.agents) found.push({ kind: 'agent', value: facet.name, aside: counted(facet) });
  if (seesOthers) {
    found.push({ kind: 'owner', value: 'me', aside: 'your own' });
    for (const facet of facets.owners) found.push({ kind: 'owner', value: facet.name, aside: counted(facet) });
  }
  for (const [name, those] of Object.entries(facets.labels)) {
    for (const value of those) found.push({ kind: 'label', value: `${name}=${value}`, aside: '' });
  }
  return found.filter(({ kind, value }) => (kind === 'label' ? !filter.labels.includes(value) : filter[kind] !== value));
}

/** Those that begin with what was typed, then those in which it occurs. */
function matching(all: Value[], typed: string): Value[] {
  const where = (one: Value) => one.value.toLowerCase().indexOf(typed);
  const begin = all.filter((one) => where(one) === 0);
  const inside = all.filter((one) => where(one) > 0);
  return [...begin, ...inside].slice(0, MOST);
}

function suggestion({ kind, value, aside }: Value, from: number, to: number): Suggestion {
  return { id: `${kind}-${value}`, text: `${kind}:${/\s/.test(value) ? `"${value}"` : value}`, aside, part: { kind, value }, from, to };
}
