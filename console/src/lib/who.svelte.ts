// Who is signed in, and what their role lets them do. The host decides again at every request.

import { get, post, Problem, whenStranger } from './api';
import { kept } from './preferences.svelte';
import type { WhoAmI } from './types';

export type Deed = 'read' | 'write' | 'connect' | 'manage' | 'drain';

const DEEDS: Record<string, Deed[]> = {
  admin: ['read', 'write', 'connect', 'manage'],
  operator: ['read', 'write', 'connect'],
  member: ['read', 'write'],
  viewer: ['read'],
};

class Who {
  /** undefined until the host has answered, null if nobody is signed in. */
  am = $state.raw<WhoAmI | null | undefined>(undefined);
  fault = $state.raw<Problem | null>(null);
  /** Somebody was signed in on this page, and isn't any more without having asked for it. */
  ended = $state(false);

  constructor() {
    whenStranger(() => {
      if (this.am) this.ended = true;
      this.am = null;
    });
  }

  async ask(): Promise<void> {
    this.fault = null;
    try {
      this.am = await get<WhoAmI>('/v1/whoami');
      this.ended = false;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) this.am = null;
      else this.fault = error;
    }
  }

  async signIn(key: string): Promise<void> {
    this.am = await post<WhoAmI>('/v1/sign-in', { key });
    this.ended = false;
  }

  async signOut(): Promise<void> {
    await post('/v1/sign-out').catch((error: unknown) => {
      if (!(error instanceof Problem && error.status === 401)) throw error;
    });
    kept.write('recent', null);
    this.ended = false;
    this.am = null;
  }

  may(deed: Deed): boolean {
    return this.am ? this.am.root || (DEEDS[this.am.role] ?? []).includes(deed) : false;
  }

  /** Whether other people's sessions are within reach. */
  get seesOthers(): boolean {
    return this.am ? this.am.root || this.am.role === 'admin' || this.am.role === 'operator' : false;
  }
}

export const who = new Who();
