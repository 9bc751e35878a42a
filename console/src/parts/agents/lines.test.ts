// The lines name this host, the agent and the message, whatever is in them. That they run is tested with a server.

import { expect, test } from 'vitest';
import { linesOf } from './lines';

const call = { host: 'http://127.0.0.1:8321', agent: 'long"haul', message: 'It\'s a "test"\nof $HOME' };
const [python, typescript, curl] = linesOf(call).map((one) => one.text);

test('every language opens a session with the agent and sends the message', () => {
  expect(linesOf(call).map((one) => one.name)).toEqual(['Python', 'TypeScript', 'curl']);
  expect(python).toContain('client.open_session("long\\"haul")');
  expect(python).toContain('client.say(session.id, "It\'s a \\"test\\"\\nof $HOME")');
  expect(typescript).toContain('{ agent: "long\\"haul" }');
  expect(typescript).toContain('Bearer ${process.env.TENURE_KEY}');
});

test('a shell takes the message as it is', () => {
  expect(curl).toContain(`-d '{"content":"It'\\''s a \\"test\\"\\nof $HOME"}'`);
  expect(curl).toContain('"http://127.0.0.1:8321/v1/sessions/$SESSION/messages"');
  expect(curl).toContain('Bearer $TENURE_KEY');
});

test('no line holds a key', () => {
  for (const { text } of linesOf(call)) expect(text).not.toMatch(/tnr_/);
});
