// Whether what belongs to a session stands beside its thread. This browser remembers it; on a narrow screen it
// is a sheet in front of the thread, which is never open by itself.

import { kept } from '../../lib/preferences.svelte';

const WIDE = window.matchMedia('(min-width: 1200px)');

class PanelState {
  wide = $state(WIDE.matches);
  #beside = $state(kept.read('panel', false));
  #sheet = $state(false);

  constructor() {
    WIDE.addEventListener('change', () => {
      this.wide = WIDE.matches;
      this.#sheet = false;
    });
  }

  get open(): boolean {
    return this.wide ? this.#beside : this.#sheet;
  }

  set open(open: boolean) {
    if (!this.wide) this.#sheet = open;
    else {
      this.#beside = open;
      kept.write('panel', open);
    }
  }

  toggle = (): void => {
    this.open = !this.open;
  };
}

export const panel = new PanelState();
