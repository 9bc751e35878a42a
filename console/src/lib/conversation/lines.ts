// The lines of a thread while they are folded: put in order, found by their key, never changed in place.

import type { Envelope } from '../types';
import type { CallLine, Item, MessageLine } from './items';

export class Lines {
  readonly items: Item[] = [];
  protected place = new Map<string, number>();
  /** The keys of lines that their run's end closes. */
  protected open = new Set<string>();

  protected put(item: Item): void {
    this.place.set(item.key, this.items.length);
    this.items.push(item);
  }

  protected get<T extends Item>(key: string): T | undefined {
    const at = this.place.get(key);
    return at === undefined ? undefined : (this.items[at] as T);
  }

  protected change<T extends Item>(key: string, changes: Partial<T>): void {
    const at = this.place.get(key);
    if (at !== undefined) this.items[at] = { ...this.items[at], ...changes } as Item;
  }

  protected changeAll(which: (item: Item) => boolean, changes: Partial<Item>): void {
    this.items.forEach((item, at) => {
      if (which(item)) this.items[at] = { ...item, ...changes } as Item;
    });
  }

  /** What is still being said was cut off, and of a call that still runs nobody knows the outcome. */
  protected cut(event: Envelope, which: (item: Item) => boolean): void {
    for (const key of this.open) {
      const item = this.get(key);
      if (!item || !which(item)) continue;
      this.open.delete(key);
      if (item.kind === 'call') this.change<CallLine>(key, { status: 'unknown', endedAt: event.at });
      else this.change<MessageLine>(key, { streaming: false, partial: true });
    }
  }
}
