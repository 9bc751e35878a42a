// The audit log in words.

export interface AuditEntry {
  id: string;
  at: string;
  tenant: string;
  by: string;
  key_id: string;
  action: string;
  subject: { kind: string; id: string };
  detail: Record<string, string>;
}

export const DEEDS: Record<string, string> = {
  'key.created': 'Made a key',
  'key.revoked': 'Revoked a key',
  'sign_in.created': 'Signed in',
  'sign_in.ended': 'Signed out',
  'sign_in_link.created': 'Made a sign-in link',
  'share.created': 'Shared a session',
  'share.revoked': 'Ended a share',
  'session.deleted': 'Deleted a session',
  'session.imported': 'Imported a session',
  'run.interrupted': 'Stopped a run',
  'grant.reduced': 'Took rights from a run',
  'approval.decided': 'Decided an approval',
  'approval.revoked': 'Revoked a remembered approval',
  'schedule.created': 'Made a schedule',
  'schedule.paused': 'Paused a schedule',
  'schedule.resumed': 'Resumed a schedule',
  'schedule.cancelled': 'Cancelled a schedule',
  'host.drained': 'Drained a host',
};

/** A deed in words; one of a newer host keeps its name. */
export function deedWords(action: string): string {
  return DEEDS[action] ?? action;
}

const ADDRESSES: Record<string, string> = { session: '/sessions/', run: '/runs/', schedule: '/schedules/' };

/** Where to look at what a deed was about, if there is such a place and it isn't gone. */
export function linkOf({ action, subject }: AuditEntry): string | null {
  const address = ADDRESSES[subject.kind];
  return address && action !== 'session.deleted' ? address + subject.id : null;
}
