// Coming to a screen: where the focus goes, and how far down the page is.

import { untrack } from 'svelte';
import { router, type Scroller } from './router.svelte';

let arrived = 0;

/**
 * Attach to a screen: once it stands, its heading gets the focus, so that the keyboard goes on from there and
 * screen readers say where one is. A field that took the focus by itself keeps it, and the first page that is
 * opened keeps the browser's own order.
 */
export function arrive(screen: Element): void {
  const now = untrack(() => router.arrivals);
  if (now === arrived) return;
  arrived = now;
  requestAnimationFrame(() => settle(screen));
}

/** What is read first may come before the heading: it is waited for a moment. */
function settle(screen: Element): void {
  const heading = screen.querySelector<HTMLElement>('h1');
  if (heading) return focus(screen, heading);
  const watch = new MutationObserver(() => {
    const late = screen.querySelector<HTMLElement>('h1');
    if (!late) return;
    watch.disconnect();
    focus(screen, late);
  });
  watch.observe(screen, { childList: true, subtree: true });
  setTimeout(() => watch.disconnect(), PATIENCE_MS);
}

function focus(screen: Element, heading: HTMLElement): void {
  const held = document.activeElement;
  if ((held && screen.contains(held)) || held?.closest('dialog')) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** So long a page may take to become as high as it was. */
const PATIENCE_MS = 2_000;

/** How the router scrolls an element: to where it was, as soon as what stood there is there again. */
export function scrolling(element: HTMLElement): Scroller {
  let stop: () => void = () => undefined;
  return {
    read: () => element.scrollTop,
    restore(top) {
      stop();
      element.scrollTop = top;
      if (element.scrollTop >= top - 1) return;
      const watch = new MutationObserver(() => {
        element.scrollTop = top;
        if (element.scrollTop >= top - 1) stop();
      });
      const timer = setTimeout(() => stop(), PATIENCE_MS);
      stop = () => {
        watch.disconnect();
        clearTimeout(timer);
        element.removeEventListener('wheel', stop);
        element.removeEventListener('touchstart', stop);
        stop = () => undefined;
      };
      watch.observe(element, { childList: true, subtree: true });
      // Whoever scrolls meanwhile knows better.
      element.addEventListener('wheel', stop, { passive: true });
      element.addEventListener('touchstart', stop, { passive: true });
    },
  };
}
