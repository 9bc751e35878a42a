// What is said of a message before and after it is sent.

import { describe, expect, it } from 'vitest';
import { Problem } from '../../lib/api';
import { contentOf, fallbackWords, isLostOnTheWay, messageId, MOST_BYTES, sizeOf, WAYS } from './saying';

describe('a message', () => {
  it('has an id as the host takes it, and never the same', () => {
    const ids = new Set(Array.from({ length: 100 }, messageId));
    expect(ids.size).toBe(100);
    for (const id of ids) expect(id).toMatch(/^msg_[0-9a-f]{32}$/);
  });

  it('is plain text as long as there is nothing else', () => {
    expect(contentOf('  hello\n', [])).toBe('hello');
  });

  it('has its files behind its text, and may be files alone', () => {
    expect(contentOf('hello', ['art_1'])).toEqual([{ type: 'text', text: 'hello' }, { type: 'file', file_id: 'art_1' }]);
    expect(contentOf(' ', ['art_1', 'art_2'])).toEqual([{ type: 'file', file_id: 'art_1' }, { type: 'file', file_id: 'art_2' }]);
  });

  it('is measured in the bytes it takes, not in characters', () => {
    expect(sizeOf('x'.repeat(MOST_BYTES - 2))).toBe(MOST_BYTES);
    expect(sizeOf('é'.repeat(MOST_BYTES / 2))).toBe(MOST_BYTES + 2);
    expect(sizeOf('"'.repeat(MOST_BYTES / 2))).toBe(MOST_BYTES + 2);
    expect(sizeOf('hello')).toBeLessThan(MOST_BYTES);
  });

  it('says why it waits although it should steer', () => {
    const words = ['runner_takes_no_steering', 'run_interrupting', 'authority_does_not_cover_the_run', 'too_much_steering_pending', 'new']
      .map((why) => fallbackWords(why, 'longhaul'));
    expect(new Set(words).size).toBe(5);
    expect(words[0]).toContain('longhaul');
  });

  it('is sent again only while nobody knows whether the host has it', () => {
    const lost = [0, 400, 403, 409, 413, 422, 429, 500, 503].map((status) => isLostOnTheWay(new Problem(status, 'c', 't', 'd')));
    expect(lost).toEqual([true, false, false, false, false, false, false, true, true]);
  });

  it('steers by a button that is called Steer', () => {
    expect(WAYS.steer.button).toBe('Steer');
  });
});
