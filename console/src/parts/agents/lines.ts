// The lines that call an agent of this host from a program, as somebody may copy them. They run as they stand,
// with a key in TENURE_KEY.

export interface Call {
  host: string;
  agent: string;
  message: string;
}

export interface Lines {
  name: string;
  /** What it needs besides. */
  needs: string;
  text: string;
}

/** A text as Python and TypeScript write it. */
const quoted = (text: string): string => JSON.stringify(text);
/** A text as a shell takes it, whatever is in it. */
const shell = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export function linesOf(call: Call): Lines[] {
  return [
    { name: 'Python', needs: 'Needs the package tenure.', text: python(call) },
    { name: 'TypeScript', needs: 'Needs nothing but fetch: Node, Deno or Bun.', text: typescript(call) },
    { name: 'curl', needs: 'Needs a shell and curl.', text: curl(call) },
  ];
}

function python({ host, agent, message }: Call): string {
  return `from tenure.client import Client
from tenure.core.content import text_of
from tenure.core.event import MessageCompleted

with Client(${quoted(host)}) as client:
    session = client.open_session(${quoted(agent)})
    for item in client.say(session.id, ${quoted(message)}):
        if isinstance(item.event, MessageCompleted):
            print(text_of(item.event.content))
`;
}

function typescript({ host, agent, message }: Call): string {
  return `const host = ${quoted(host)};
const headers = { authorization: \`Bearer \${process.env.TENURE_KEY}\`, 'content-type': 'application/json' };
const post = (path: string, body: unknown, more = {}) =>
  fetch(host + path, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(body) });

const session = await (await post('/v1/sessions', { agent: ${quoted(agent)} })).json();
const answer = await post(\`/v1/sessions/\${session.id}/messages\`, { content: ${quoted(message)} }, { accept: 'text/event-stream' });
if (!answer.ok || !answer.body) throw new Error(await answer.text());

let rest = '';
for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
  const frames = (rest + piece).split('\\n\\n');
  rest = frames.pop() ?? '';
  for (const frame of frames) {
    const data = frame.split('\\n').find((line) => line.startsWith('data:'));
    const event = data ? JSON.parse(data.slice(5)) : {};
    if (event.type === 'message.completed') console.log(event.data.content);
  }
}
`;
}

function curl({ host, agent, message }: Call): string {
  const post = (path: string, body: unknown) =>
    `curl -sSN "${host}${path}" \\
  -H "Authorization: Bearer $TENURE_KEY" -H "Content-Type: application/json" -H "Accept: text/event-stream" \\
  -d ${shell(JSON.stringify(body))}`;
  const open = post('/v1/sessions', { agent }).replace(' -H "Accept: text/event-stream"', '').replace('-sSN', '-sS');
  return `SESSION=$(${open} | grep -o 'ses_[0-9a-f]*' | head -n 1)
${post('/v1/sessions/$SESSION/messages', { content: message })}
`;
}
