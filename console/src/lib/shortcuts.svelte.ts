// Keys: one place that listens, a list of what each does for the help, and silence while somebody types.

import { untrack } from 'svelte';

export interface Shortcut {
  /** As in KeyboardEvent.key, `Ctrl-` in front where it is held: `j`, `Escape`, `Ctrl-k`, `?`. */
  key: string;
  /** What it does, for the help; empty for a second way to the same. */
  does: string;
  run: (event: KeyboardEvent) => void;
  /** Also while a field has the focus. */
  always?: boolean;
  /** Only now and then. */
  when?: () => boolean;
}

export interface Group {
  name: string;
  keys: Shortcut[];
}

class Shortcuts {
  /** Groups by the name of what is on the screen, the innermost last. */
  groups = $state.raw<Group[]>([]);

  /** Offer keys for as long as a part is on the screen: `$effect(() => shortcuts.offer('Sessions', [...]))`. */
  offer(name: string, keys: Shortcut[]): () => void {
    const group = { name, keys };
    // Effects offer keys: one that read the groups too would be run by every other's offer.
    this.groups = untrack(() => [...this.groups, group]);
    return () => {
      this.groups = untrack(() => this.groups.filter((one) => one !== group));
    };
  }

  listen(): () => void {
    window.addEventListener('keydown', this.#press);
    return () => window.removeEventListener('keydown', this.#press);
  }

  #press = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    // A dialog has the keys to itself, also when the button that had the focus in it was disabled and lost it to the page:
    // Escape would stop the run behind it, and `a` approve.
    if (document.querySelector('dialog[open]')) return;
    const held = event.ctrlKey || event.metaKey;
    // Caps Lock makes `K` of a Ctrl-k; it means the same.
    const name = held ? `Ctrl-${event.key.toLowerCase()}` : event.key;
    const typing = isTyping(event.target);
    const pressed = event.key === 'Enter' || event.key === ' ';
    // What has the focus may want these keys for itself.
    if (pressed && !held && event.target instanceof Element && event.target.closest('a[href], button, summary, [role=button]')) return;
    const found = this.groups
      .flatMap((group) => group.keys)
      .findLast((one) => one.key === name && (one.always || !typing) && (one.when?.() ?? true));
    if (!found) return;
    event.preventDefault();
    found.run(event);
  };
}

/** Fields in which letters are letters. Boxes and buttons that are inputs take none. */
const WORDLESS = new Set(['checkbox', 'radio', 'button', 'submit', 'range', 'file', 'color']);

function isTyping(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return !WORDLESS.has(target.type);
  return target instanceof HTMLElement && (target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName));
}

const NAMES: Record<string, string> = {
  Escape: 'Esc', ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→', ' ': 'Space', PageUp: 'Page ↑', PageDown: 'Page ↓',
};

/** The keys to press together, as they are written on a keyboard. */
export function namesOfKey(key: string): string[] {
  const [held, rest] = key.startsWith('Ctrl-') ? [['Ctrl'], key.slice(5)] : [[], key];
  return [...held, NAMES[rest] ?? (rest.length === 1 && /[A-Z]/.test(rest) ? `Shift ${rest}` : held.length ? rest.toUpperCase() : rest)];
}

export const shortcuts = new Shortcuts();
