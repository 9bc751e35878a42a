// Sends a file to a session. Only XMLHttpRequest tells how much of a request is on its way already.

import { freshHex } from './chance';
import { credentials, Problem } from './api';
import type { FileInfo } from './types/belongings';

/** `progress` is told the share that was sent, from 0 to 1. Raises Problem; an abort is an AbortError. */
export function upload(path: string, file: File, progress: (share: number) => void, signal: AbortSignal): Promise<FileInfo> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append('file', file, file.name || 'file');
    request.open('POST', `${path}/files`);
    request.responseType = 'text';
    request.setRequestHeader('accept', 'application/json');
    request.setRequestHeader('idempotency-key', freshHex());
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 201) done(JSON.parse(request.responseText) as FileInfo);
      else fail(problemIn(request));
    };
    request.onerror = () => fail(new Problem(0, 'offline', 'The host can’t be reached', 'The connection broke before all of the file was sent. Attach it again.'));
    request.onabort = () => fail(new DOMException('The upload was stopped.', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

function problemIn(request: XMLHttpRequest): Problem {
  const said = parsed(request.responseText);
  const text = (name: string, otherwise: string) => (typeof said[name] === 'string' ? said[name] : otherwise);
  const otherwise = `The host answered ${request.status}.`;
  return new Problem(request.status, text('code', 'unreadable'), text('title', otherwise), text('detail', otherwise), said);
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
