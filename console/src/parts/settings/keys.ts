// API keys as the host tells of them.

export interface KeyInfo {
  id: string;
  tenant: string;
  user: string;
  role: string;
  name: string;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
}

/** Whether a key still opens anything. */
export function stateOf(key: KeyInfo, now = Date.now()): 'active' | 'revoked' | 'expired' {
  if (key.revoked_at) return 'revoked';
  return key.expires_at && Date.parse(key.expires_at) <= now ? 'expired' : 'active';
}
