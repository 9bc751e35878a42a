// What the filter bar of the sessions means: `state:waiting agent:ops owner:me label:team=infra "rollback"`.
// The address says the same in parameters, so a filter can be linked to and survives a reload.

export interface Filter {
  state: string | null;
  agent: string | null;
  owner: string | null;
  /** `name=value`, all of which must hold. */
  labels: readonly string[];
  /** What is searched for in titles and messages. */
  words: string;
}

export type Kind = 'state' | 'agent' | 'owner' | 'label';

export const NO_FILTER: Filter = { state: null, agent: null, owner: null, labels: [], words: '' };

/** The states that can be asked for, with what people call them. */
export const STATES: Record<string, string> = {
  waiting: 'Waiting for you', running: 'Running', failed: 'Failed', timed_out: 'Timed out', lost: 'Lost', idle: 'Idle', closed: 'Closed',
};

/** These are how the last run of a session ended; the others are states of the session. */
const BAD_ENDS = new Set(['failed', 'timed_out', 'lost']);

const KINDS: Record<string, Kind> = { state: 'state', status: 'state', is: 'state', agent: 'agent', owner: 'owner', label: 'label' };

/** A piece of what was typed. `kind` is null for words that are searched for. */
export interface Token {
  kind: Kind | null;
  value: string;
  from: number;
  to: number;
  /** A quotation mark is open still. */
  open: boolean;
}

/** Take a text apart at its spaces; quotes hold together. */
export function tokensOf(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text.charAt(at))) {
      at += 1;
      continue;
    }
    const from = at;
    let raw = '';
    let quoted = false;
    while (at < text.length && (quoted || !/\s/.test(text.charAt(at)))) {
      const letter = text.charAt(at);
      if (letter === '"') quoted = !quoted;
      raw += letter;
      at += 1;
    }
    found.push(tokenOf(raw, from, at, quoted));
  }
  return found;
}

function tokenOf(raw: string, from: number, to: number, open: boolean): Token {
  const colon = raw.indexOf(':');
  const kind = colon > 0 ? KINDS[raw.slice(0, colon).toLowerCase()] : undefined;
  if (!kind) return { kind: null, value: raw, from, to, open };
  return { kind, value: raw.slice(colon + 1).replaceAll('"', ''), from, to, open };
}

/** Whether a token says something that can be asked for. */
function isWhole(token: Token): boolean {
  if (token.kind === null || token.open) return false;
  if (token.kind === 'state') return Object.hasOwn(STATES, token.value);
  if (token.kind === 'label') return /^[^=:]+[=:]./.test(token.value);
  return token.value !== '';
}

/** A filter with one more condition. Of a label there may be several, of the others one. */
export function withPart(filter: Filter, kind: Kind, value: string): Filter {
  if (kind !== 'label') return { ...filter, [kind]: value };
  const label = value.includes('=') ? value : value.replace(':', '=');
  return filter.labels.includes(label) ? filter : { ...filter, labels: [...filter.labels, label] };
}

export function withoutPart(filter: Filter, kind: Kind, value: string): Filter {
  if (kind !== 'label') return { ...filter, [kind]: null };
  return { ...filter, labels: filter.labels.filter((one) => one !== value) };
}

/**
 * Take the conditions out of what is being typed. What the caret still stands in is left alone unless
 * `done`; `rest` is what stays in the field.
 */
export function absorb(filter: Filter, text: string, done = false): { filter: Filter; rest: string } {
  let next = filter;
  let rest = '';
  let last = 0;
  for (const token of tokensOf(text)) {
    const ended = done || token.to < text.length;
    if (!ended || !isWhole(token) || token.kind === null) continue;
    next = withPart(next, token.kind, token.value);
    rest += text.slice(last, token.from);
    last = token.to;
  }
  rest = (rest + text.slice(last)).replace(/\s+/g, ' ').replace(/^ /, '');
  return { filter: { ...next, words: wordsIn(rest) }, rest };
}

/** What of a text is searched for: everything that doesn't begin like a condition. */
export function wordsIn(text: string): string {
  return tokensOf(text).flatMap((token) => (token.kind === null ? [token.value] : [])).join(' ');
}

export function isEmpty(filter: Filter): boolean {
  return !filter.state && !filter.agent && !filter.owner && filter.labels.length === 0 && !filter.words.trim();
}

/** The conditions of a filter, in the order in which they are shown. */
export function partsOf(filter: Filter): { kind: Kind; value: string }[] {
  const single = (['state', 'agent', 'owner'] as const).flatMap((kind) => {
    const value = filter[kind];
    return value ? [{ kind, value }] : [];
  });
  return [...single, ...filter.labels.map((value) => ({ kind: 'label' as const, value }))];
}

/** A filter as one would type it. */
export function textOfFilter(filter: Filter): string {
  const quoted = (value: string) => (/\s/.test(value) ? `"${value}"` : value);
  return [...partsOf(filter).map(({ kind, value }) => `${kind}:${quoted(value)}`), filter.words.trim()].filter(Boolean).join(' ');
}

/** The filter that an address holds. */
export function filterOf(query: URLSearchParams): Filter {
  return {
    state: query.get('status'), agent: query.get('agent'), owner: query.get('owner'),
    labels: query.getAll('label'), words: query.get('q') ?? '',
  };
}

/** The address of a filter. */
export function addressOf(filter: Filter): string {
  const query = new URLSearchParams();
  if (filter.state) query.set('status', filter.state);
  if (filter.agent) query.set('agent', filter.agent);
  if (filter.owner) query.set('owner', filter.owner);
  for (const label of filter.labels) query.append('label', label);
  if (filter.words.trim()) query.set('q', filter.words);
  const text = query.toString();
  return text ? `/sessions?${text}` : '/sessions';
}

/** What to ask the host for. `me` is who `owner:me` means. */
export function queryOf(filter: Filter, me: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  if (filter.state) query[BAD_ENDS.has(filter.state) ? 'last_run' : 'status'] = filter.state;
  if (filter.agent) query.agent = filter.agent;
  if (filter.owner) query.owner = filter.owner === 'me' ? me : filter.owner;
  if (filter.labels.length) query.label = filter.labels.map(labelForHost);
  if (filter.words.trim()) query.q = filter.words.trim();
  return query;
}

/** The host wants NAME:VALUE, a colon or a per cent sign of the name escaped. */
function labelForHost(label: string): string {
  const at = label.indexOf('=');
  if (at < 0) return label;
  return `${label.slice(0, at).replaceAll('%', '%25').replaceAll(':', '%3A')}:${label.slice(at + 1)}`;
}
