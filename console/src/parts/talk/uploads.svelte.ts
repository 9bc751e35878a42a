// The files of a draft: each is sent to the session at once, and the message then refers to it.

import { Problem, remove, wordsOf } from '../../lib/api';
import { bytes } from '../../lib/clock.svelte';
import { upload } from '../../lib/upload';

export const MOST_FILE_BYTES = 32 * 1024 * 1024;

export interface Upload {
  key: number;
  name: string;
  size: number;
  /** The share of it that is there, from 0 to 1. */
  done: number;
  /** Its id in the session, once it is there. */
  id: string | null;
  /** Why it isn't. */
  refused: string;
}

export class Uploads {
  all = $state.raw<Upload[]>([]);
  #last = 0;
  #over = new Map<number, AbortController>();
  /** Files of messages on their way, in case one comes back. */
  #gone: Upload[] = [];

  constructor(
    private readonly path: string,
    there: { id: string; name: string; size: number }[],
  ) {
    this.all = there.map((file) => ({ ...file, key: ++this.#last, done: 1, refused: '' }));
  }

  get busy(): boolean {
    return this.all.some((one) => one.id === null && one.refused === '');
  }

  /** Those that are there. */
  get ready(): (Upload & { id: string })[] {
    return this.all.filter((one): one is Upload & { id: string } => one.id !== null);
  }

  add(files: Iterable<File>): void {
    for (const file of files) void this.#send(file);
  }

  /** Leave a file out. It is deleted again, or stopped on its way. */
  async drop(one: Upload): Promise<void> {
    this.#over.get(one.key)?.abort();
    this.all = this.all.filter((other) => other.key !== one.key);
    if (one.id) await remove(`${this.path}/files/${one.id}`).catch(() => undefined);
  }

  /** A message took them. */
  sent(): void {
    this.#gone = [...this.#gone, ...this.ready].slice(-100);
    this.all = this.all.filter((one) => one.id === null);
  }

  /** A message came back: its files belong to the draft again. */
  restore(ids: string[]): void {
    const back = ids.map((id) => this.#gone.find((one) => one.id === id) ?? { key: ++this.#last, name: 'file', size: 0, done: 1, id, refused: '' });
    this.all = [...this.all, ...back];
  }

  async #send(file: File): Promise<void> {
    const key = ++this.#last;
    this.all = [...this.all, { key, name: file.name, size: file.size, done: 0, id: null, refused: '' }];
    if (file.size > MOST_FILE_BYTES) {
      this.#change(key, { refused: `It has ${bytes(file.size)}; a file may have 32 MB. Send a part of it, or a link.` });
      return;
    }
    const over = new AbortController();
    this.#over.set(key, over);
    try {
      const info = await upload(this.path, file, (done) => this.#change(key, { done }), over.signal);
      this.#change(key, { id: info.id, name: info.name, done: 1 });
    } catch (error) {
      if (error instanceof Problem) this.#change(key, { refused: wordsOf(error) });
      else if (!over.signal.aborted) throw error;
    } finally {
      this.#over.delete(key);
    }
  }

  #change(key: number, changes: Partial<Upload>): void {
    this.all = this.all.map((one) => (one.key === key ? { ...one, ...changes } : one));
  }
}
