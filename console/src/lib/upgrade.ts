// A tab that is older than the host: parts of the console that it hasn't fetched yet are gone.

import { notices } from './notices.svelte';

/** Offer to load the page again when a part of it can't be fetched and the host has another console by now. */
export function offerUpgrades(): () => void {
  let offered = false;
  const missed = async () => {
    if (offered || !(await wasReplaced())) return;
    offered = true;
    notices.say('The host was upgraded since this page was opened.', { label: 'Reload', run: () => location.reload() });
  };
  const listener = () => void missed();
  window.addEventListener('vite:preloadError', listener);
  return () => window.removeEventListener('vite:preloadError', listener);
}

/** Whether the host's page begins with another script than this one did. */
async function wasReplaced(): Promise<boolean> {
  const script = document.querySelector<HTMLScriptElement>('script[type=module]');
  if (!script) return false;
  try {
    const response = await fetch('/', { cache: 'no-store' });
    return response.ok && !(await response.text()).includes(new URL(script.src).pathname);
  } catch {
    return false; // the host is away: that is told elsewhere
  }
}
