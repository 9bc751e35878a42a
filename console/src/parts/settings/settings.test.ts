import { describe, expect, it } from 'vitest';
import { deedWords, linkOf } from './audit';
import { stateOf } from './keys';

const key = { id: 'key_1', tenant: 't', user: 'ana', role: 'member', name: '', created_at: '2026-01-01T00:00:00Z', expires_at: null, revoked_at: null };
const NOON = Date.parse('2026-06-01T12:00:00Z');

describe('a key', () => {
  it('without an end is active', () => expect(stateOf(key, NOON)).toBe('active'));
  it('that was revoked stays so, whenever it ends', () =>
    expect(stateOf({ ...key, revoked_at: '2026-05-01T00:00:00Z', expires_at: '2030-01-01T00:00:00Z' }, NOON)).toBe('revoked'));
  it('expires at its moment', () => {
    expect(stateOf({ ...key, expires_at: '2026-06-01T12:00:00Z' }, NOON)).toBe('expired');
    expect(stateOf({ ...key, expires_at: '2026-06-01T12:00:01Z' }, NOON)).toBe('active');
  });
});

const entry = { id: '1', at: '', tenant: 't', by: 'ana', key_id: '', action: 'run.interrupted', subject: { kind: 'run', id: 'run_1' }, detail: {} };

describe('an entry of the audit log', () => {
  it('leads to what it is about', () => expect(linkOf(entry)).toBe('/runs/run_1'));
  it('leads nowhere if that is deleted', () =>
    expect(linkOf({ ...entry, action: 'session.deleted', subject: { kind: 'session', id: 'ses_1' } })).toBeNull());
  it('leads nowhere if it has no place', () => expect(linkOf({ ...entry, subject: { kind: 'key', id: 'key_1' } })).toBeNull());
  it('of a newer host keeps its name', () => expect(deedWords('comet.seen')).toBe('comet.seen'));
});
