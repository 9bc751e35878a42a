import { expect, it } from 'vitest';
import { freshHex } from './chance';

it('draws 32 hexadecimal digits, and others each time', () => {
  expect(freshHex()).toMatch(/^[0-9a-f]{32}$/);
  expect(freshHex()).not.toBe(freshHex());
});
