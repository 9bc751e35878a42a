import { describe, expect, it } from 'vitest';
import { absorb, addressOf, filterOf, NO_FILTER, partsOf, queryOf, textOfFilter, tokensOf, withoutPart, wordsIn } from './filters';
import { NO_FACETS, suggest, type Facets } from './suggestions';

describe('tokens', () => {
  it('keeps quotes together and tells conditions from words', () => {
    expect(tokensOf('state:waiting "roll back" agent:"night ops" 12:30').map(({ kind, value }) => [kind, value])).toEqual([
      ['state', 'waiting'], [null, '"roll back"'], ['agent', 'night ops'], [null, '12:30'],
    ]);
  });

  it('knows where each stands, and that a quotation is open', () => {
    expect(tokensOf(' a  "b c')).toEqual([
      { kind: null, value: 'a', from: 1, to: 2, open: false },
      { kind: null, value: '"b c', from: 4, to: 8, open: true },
    ]);
  });
});

describe('absorb', () => {
  it('takes conditions out once they are ended, and leaves what is being typed', () => {
    const first = absorb(NO_FILTER, 'state:waiting agent:op');
    expect(first).toEqual({ filter: { ...NO_FILTER, state: 'waiting' }, rest: 'agent:op' });
    expect(absorb(first.filter, 'agent:op', true)).toEqual({ filter: { ...NO_FILTER, state: 'waiting', agent: 'op' }, rest: '' });
  });

  it('searches for words around the conditions', () => {
    expect(absorb(NO_FILTER, 'rollback label:team=infra now', true)).toEqual({
      filter: { ...NO_FILTER, labels: ['team=infra'], words: 'rollback now' }, rest: 'rollback now',
    });
  });

  it('takes no state that doesn’t exist, and doesn’t search for it either', () => {
    expect(absorb(NO_FILTER, 'state:odd x', true)).toEqual({ filter: { ...NO_FILTER, words: 'x' }, rest: 'state:odd x' });
  });

  it('keeps several labels, each once', () => {
    const { filter } = absorb(NO_FILTER, 'label:a=1 label:b:2 label:a=1', true);
    expect(filter.labels).toEqual(['a=1', 'b=2']);
    expect(withoutPart(filter, 'label', 'a=1').labels).toEqual(['b=2']);
  });
});

describe('the address', () => {
  const filter = { state: 'idle', agent: 'night ops', owner: 'me', labels: ['a:b=50%', 'c=d'], words: '"two words" x' };

  it('holds all of a filter', () => {
    expect(filterOf(new URL(addressOf(filter), 'http://x').searchParams)).toEqual(filter);
    expect(addressOf(NO_FILTER)).toBe('/sessions');
  });

  it('becomes what the host understands', () => {
    expect(queryOf({ ...filter, labels: ['50%=x', 'c=d:e'] }, 'ana')).toEqual({
      status: 'idle', agent: 'night ops', owner: 'ana', label: ['50%25:x', 'c:d:e'], q: '"two words" x',
    });
  });

  it('asks for the last run where a state is how that ended', () => {
    expect(queryOf({ ...NO_FILTER, state: 'failed' }, 'ana')).toEqual({ last_run: 'failed' });
  });

  it('reads as one would type it', () => {
    expect(textOfFilter(filter)).toBe('state:idle agent:"night ops" owner:me label:a:b=50% label:c=d "two words" x');
    expect(partsOf(NO_FILTER)).toEqual([]);
    expect(wordsIn('agent:x hello')).toBe('hello');
  });
});

describe('suggestions', () => {
  const facets: Facets = {
    agents: [{ name: 'ops', count: 3 }, { name: 'night ops', count: 1 }],
    statuses: [{ name: 'waiting', count: 2 }],
    owners: [{ name: 'ana', count: 4 }],
    labels: { team: ['infra', 'web'] },
  };
  const texts = (text: string, filter = NO_FILTER, all = true) => suggest(text, text.length, filter, facets, all).map((one) => one.text);

  it('offers the beginnings that are open', () => {
    expect(texts('')).toEqual(['state:', 'agent:', 'owner:', 'label:']);
    expect(texts('', { ...NO_FILTER, state: 'idle' }, false)).toEqual(['agent:', 'label:']);
  });

  it('offers values that begin so first', () => {
    expect(texts('agent:op')).toEqual(['agent:ops', 'agent:"night ops"']);
    expect(texts('x label:team=w')).toEqual(['label:team=web']);
  });

  it('offers conditions for a bare word', () => {
    expect(texts('wai')).toEqual(['state:waiting']);
    expect(suggest('wai', 3, NO_FILTER, facets, true)[0]).toEqual({
      id: 'state-waiting', text: 'state:waiting', aside: 'Waiting for you · 2', part: { kind: 'state', value: 'waiting' }, from: 0, to: 3,
    });
  });

  it('offers nobody’s names to who sees only their own', () => {
    expect(suggest('owner:', 6, NO_FILTER, facets, false)).toEqual([]);
    expect(suggest('an', 2, NO_FILTER, NO_FACETS, true)).toEqual([]);
  });
});
