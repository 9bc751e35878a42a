// The one way to the host: JSON over fetch, problems as `Problem`, a repeat of a POST under its own key.

import { freshHex } from './chance';

import { clock } from './clock.svelte';

/** A refusal of the host (RFC 9457), or `offline` when it can't be reached at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly facts: Record<string, unknown> = {},
  ) {
    super(detail);
  }
}

export interface Ask {
  body?: unknown;
  query?: Record<string, Value | Value[]>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

type Value = string | number | boolean | null | undefined;

/** The key of a share link; everywhere else the cookie says who asks. */
let bearer: string | null = null;

export function useBearer(token: string | null): void {
  bearer = token;
}

let stranger: () => void = () => undefined;

/** Have `listener` told when the host doesn't know, or no longer knows, who asks. A share link isn't anybody. */
export function whenStranger(listener: () => void): void {
  stranger = listener;
}

/** The headers that say who asks. */
export function credentials(): Record<string, string> {
  return bearer === null ? {} : { authorization: `Bearer ${bearer}` };
}

export function address(path: string, query: Ask['query'] = {}): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') pairs.append(name, String(one));
    }
  }
  const text = pairs.toString();
  return text ? `${path}?${text}` : path;
}

export const get = <T>(path: string, query?: Ask['query'], signal?: AbortSignal): Promise<T> =>
  request<T>('GET', path, { ...(query && { query }), ...(signal && { signal }) });

/** POST under a fresh idempotency key: if the answer is lost on its way, it is asked for once more. */
export async function post<T>(path: string, body: unknown = {}, ask: Ask = {}): Promise<T> {
  const headers = { 'idempotency-key': freshHex(), ...ask.headers };
  try {
    return await request<T>('POST', path, { ...ask, body, headers });
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'offline')) throw error;
    return request<T>('POST', path, { ...ask, body, headers });
  }
}

export const patch = <T>(path: string, body: unknown, ask: Ask = {}): Promise<T> =>
  request<T>('PATCH', path, { ...ask, body });

export const put = <T>(path: string, body: unknown, ask: Ask = {}): Promise<T> =>
  request<T>('PUT', path, { ...ask, body });

export const remove = (path: string, query?: Ask['query']): Promise<void> =>
  request<void>('DELETE', path, query ? { query } : {});

/** One request. Raises Problem. */
export async function request<T>(method: string, path: string, ask: Ask = {}): Promise<T> {
  const raw = ask.body instanceof Blob || ask.body instanceof FormData;
  const response = await reach(address(path, ask.query), {
    method,
    headers: {
      accept: 'application/json',
      ...(ask.body !== undefined && !raw && { 'content-type': 'application/json' }),
      ...credentials(),
      ...ask.headers,
    },
    ...(ask.body !== undefined && { body: raw ? (ask.body as BodyInit) : JSON.stringify(ask.body) }),
    ...(ask.signal && { signal: ask.signal }),
  });
  if (!response.ok) throw await problemOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Fetch, or the Problem `offline`. An abort stays an abort. */
export async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, { ...init, credentials: 'same-origin', cache: 'no-store' });
    clock.hear(response.headers.get('date'));
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'offline', 'The host can’t be reached', 'The host can’t be reached. Nothing was lost; try again once it is back.');
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  if (response.status === 401 && bearer === null) stranger();
  const said: Record<string, unknown> = await response.json().catch(() => ({}));
  const text = (name: string, otherwise: string) => (typeof said[name] === 'string' ? said[name] : otherwise);
  return new Problem(
    response.status,
    text('code', 'unreadable'),
    text('title', `The host answered ${response.status}`),
    text('detail', `The host answered ${response.status} ${response.statusText}. Something between here and the host may be in the way.`),
    said,
  );
}

/** What to show of an error: the host's own words where it has any. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
