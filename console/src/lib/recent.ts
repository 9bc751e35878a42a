// The sessions that were looked at last in this browser, by id alone: what they are called, the host says.

import { kept } from './preferences.svelte';

const MOST = 8;

export const recent = {
  ids: (): string[] => kept.read<string[]>('recent', []),

  add(id: string): void {
    kept.write('recent', [id, ...recent.ids().filter((one) => one !== id)].slice(0, MOST));
  },
};
