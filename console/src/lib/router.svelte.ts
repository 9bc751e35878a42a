// The address bar: which screen it names, the way to another one, and how far each page was scrolled.

import { freshHex } from './chance';

export interface Place {
  /** The name of the screen, the first part of the path; `sessions` at `/`. */
  screen: string;
  /** What the path names beyond the screen: an id, a section; empty if nothing. */
  id: string;
  query: URLSearchParams;
  /** The fragment without `#`: the number of an event, where it is one. */
  hash: string;
}

export const SCREENS = ['sessions', 'runs', 'approvals', 'schedules', 'agents', 'ops', 'settings', 'share', 'sign-in'];

export function placeOf(url: URL): Place {
  const [screen = '', ...rest] = url.pathname.split('/').filter(Boolean).map(decoded);
  return {
    screen: screen === '' ? 'sessions' : SCREENS.includes(screen) ? screen : 'nowhere',
    id: rest.join('/'),
    query: url.searchParams,
    hash: url.hash.slice(1),
  };
}

/** A part of a path as people read it; one that isn't well written stands for itself. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

interface Step {
  /** Names a step of this tab's history, so that Back finds the page as far down as it was. */
  step: string;
}

const isStep = (state: unknown): state is Step => typeof state === 'object' && state !== null && 'step' in state;

/** Tells how far down a page is, and takes it there. */
export interface Scroller {
  read: () => number;
  restore: (top: number) => void;
}

class Router {
  at = $state.raw(placeOf(new URL(location.href)));
  /** Counts the ways to other pages; changes of parameters don't count. */
  arrivals = $state(0);

  #step = isStep(history.state) ? history.state.step : freshHex();
  #scroller: Scroller | null = null;

  listen(): () => void {
    history.scrollRestoration = 'manual';
    history.replaceState({ step: this.#step }, '');
    window.addEventListener('popstate', this.#back);
    window.addEventListener('pagehide', this.#remember);
    document.addEventListener('click', this.#click);
    return () => {
      window.removeEventListener('popstate', this.#back);
      window.removeEventListener('pagehide', this.#remember);
      document.removeEventListener('click', this.#click);
    };
  }

  /** What scrolls; the shell says so for as long as it stands. */
  scrolls(scroller: Scroller): () => void {
    this.#scroller = scroller;
    this.#restore();
    return () => {
      this.#scroller = null;
    };
  }

  /** Go to an address of the console. `replace` leaves no step behind for the Back button. */
  go(href: string, { replace = false } = {}): void {
    const url = new URL(href, location.href);
    const elsewhere = url.pathname !== location.pathname;
    if (!replace && url.href !== location.href) {
      this.#remember();
      this.#step = freshHex();
      history.pushState({ step: this.#step }, '', url);
    } else history.replaceState({ step: this.#step }, '', url);
    this.at = placeOf(url);
    if (!elsewhere) return;
    this.arrivals += 1;
    this.#scroller?.restore(0);
  }

  /** Set or drop parameters of the address, without a step for the Back button. */
  refine(changes: Record<string, string | null>): void {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === '') url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    this.go(url.href, { replace: true });
  }

  #back = (event: PopStateEvent): void => {
    this.#remember();
    this.#step = isStep(event.state) ? event.state.step : freshHex();
    if (!isStep(event.state)) history.replaceState({ step: this.#step }, '');
    const { screen, id } = this.at;
    this.at = placeOf(new URL(location.href));
    if (this.at.screen !== screen || this.at.id !== id) this.arrivals += 1;
    this.#restore();
  };

  #remember = (): void => {
    const top = this.#scroller?.read() ?? 0;
    if (top > 0) sessionStorage.setItem(`tenure.at.${this.#step}`, String(Math.round(top)));
    else sessionStorage.removeItem(`tenure.at.${this.#step}`);
  };

  #restore(): void {
    this.#scroller?.restore(Number(sessionStorage.getItem(`tenure.at.${this.#step}`) ?? 0));
  }

  #click = (event: MouseEvent) => {
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (!link || link.getAttribute('target') || link.hasAttribute('download')) return;
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.getAttribute('href') ?? '', location.href);
    if (url.origin !== location.origin || !isOurs(url)) return;
    event.preventDefault();
    this.go(url.href);
  };
}

/** Whether the console has a screen there; the host's own pages are fetched from the host. */
function isOurs(url: URL): boolean {
  return placeOf(url).screen !== 'nowhere' && !(url.pathname.startsWith('/sign-in/'));
}

export const router = new Router();
