// The screens by the first part of their address. Each is fetched when it is first opened.

import type { Component } from 'svelte';
import type { Place } from './router.svelte';
import type { Deed } from './who.svelte';

export interface Screen {
  title: string;
  load: () => Promise<{ default: Component<{ place: Place }> }>;
}

export const SCREENS: Record<string, Screen> = {
  sessions: { title: 'Sessions', load: () => import('../screens/Sessions.svelte') },
  conversation: { title: 'Conversation', load: () => import('../screens/Conversation.svelte') },
  runs: { title: 'Run', load: () => import('../screens/Run.svelte') },
  approvals: { title: 'Approvals', load: () => import('../screens/Approvals.svelte') },
  schedules: { title: 'Schedules', load: () => import('../screens/Schedules.svelte') },
  agents: { title: 'Agents', load: () => import('../screens/Agents.svelte') },
  ops: { title: 'Ops', load: () => import('../screens/Ops.svelte') },
  settings: { title: 'Settings', load: () => import('../screens/Settings.svelte') },
};

/** The name of the screen at a place: a session has one of its own. */
export function screenAt(place: Place): string {
  return place.screen === 'sessions' && place.id ? 'conversation' : place.screen;
}

export interface Door {
  screen: string;
  href: string;
  label: string;
  /** The key that goes there after `g`. */
  key: string;
  needs?: Deed;
}

export const DOORS: Door[] = [
  { screen: 'sessions', href: '/sessions', label: 'Sessions', key: 's' },
  { screen: 'approvals', href: '/approvals', label: 'Approvals', key: 'a' },
  { screen: 'schedules', href: '/schedules', label: 'Schedules', key: 'c' },
  { screen: 'agents', href: '/agents', label: 'Agents', key: 'e' },
  { screen: 'ops', href: '/ops', label: 'Ops', key: 'o' },
  { screen: 'settings', href: '/settings', label: 'Settings', key: ',' },
];
