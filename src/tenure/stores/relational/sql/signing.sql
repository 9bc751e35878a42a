-- Browsers that are signed in, the links that sign them in, and shares of sessions.

-- sign_in_insert: a browser is signed in, if its key lives
INSERT INTO sign_in (id, secret_hash, key_no, created_at, expires_at)
SELECT :id, :secret_hash, no, :at, :until FROM api_key
WHERE id = :key_id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :at)

-- sign_in_crowd: the oldest of a key make room for the latest
DELETE FROM sign_in WHERE no IN (
    SELECT i.no FROM sign_in i WHERE i.key_no = (
        SELECT o.key_no FROM sign_in o WHERE o.id = :id) ORDER BY i.no DESC LIMIT 1000 OFFSET :most)

-- sign_in_end: sign a browser out
DELETE FROM sign_in WHERE id = :id

-- sign_in_whose: the user whose browser it is
SELECT k.tenant, k."user" FROM sign_in i JOIN api_key k ON k.no = i.key_no WHERE i.id = :id

-- sign_in_list: where a user is signed in, the latest first
SELECT i.no, i.id, k.id AS key_id, i.created_at, i.expires_at FROM sign_in i JOIN api_key k ON k.no = i.key_no
WHERE k.tenant = :tenant AND k."user" = :user AND i.no < :before AND i.expires_at > :at
    AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :at)
ORDER BY i.no DESC LIMIT :limit

-- sign_in_expire: forget those that are over
DELETE FROM sign_in WHERE no IN (SELECT no FROM sign_in WHERE expires_at <= :at ORDER BY expires_at LIMIT :limit)

-- link_insert: a link of a key
INSERT INTO sign_in_link (secret_hash, key_no, created_at, expires_at)
SELECT :secret_hash, no, :at, :until FROM api_key WHERE id = :key_id

-- link_crowd: the oldest of a key make room for the latest
DELETE FROM sign_in_link WHERE no IN (
    SELECT l.no FROM sign_in_link l WHERE l.key_no = (
        SELECT o.key_no FROM sign_in_link o WHERE o.secret_hash = :secret_hash)
    ORDER BY l.no DESC LIMIT 1000 OFFSET :most)

-- link_waits: whether a link can still be used
SELECT 1 FROM sign_in_link WHERE secret_hash = :link_hash AND used_at IS NULL AND expires_at > :at

-- link_use: use a link up
UPDATE sign_in_link SET used_at = :at WHERE secret_hash = :link_hash AND used_at IS NULL AND expires_at > :at

-- link_key: whose key a link was made with, if that lives
SELECT k.id, k.tenant, k."user", k.role, k.root FROM sign_in_link l JOIN api_key k ON k.no = l.key_no
WHERE l.secret_hash = :link_hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :at)

-- link_expire: forget those that are over
DELETE FROM sign_in_link WHERE no IN (
    SELECT no FROM sign_in_link WHERE expires_at <= :at ORDER BY expires_at LIMIT :limit)

-- share_insert: a share of a session
INSERT INTO share (id, secret_hash, session_no, key_no, created_at, expires_at)
SELECT :id, :secret_hash, :no, k.no, :at, :until FROM api_key k WHERE k.id = :key_id

-- share_by_secret: one share, whatever its state
SELECT id FROM share WHERE secret_hash = :secret_hash

-- share_count: how many of a session work
SELECT count(*) FROM share h JOIN api_key k ON k.no = h.key_no
WHERE h.session_no = :no AND h.revoked_at IS NULL AND h.expires_at > :at AND k.revoked_at IS NULL

-- share_revoke: end a share
UPDATE share SET revoked_at = :at WHERE id = :id

-- share_ended: when a share of a session was revoked
SELECT revoked_at FROM share WHERE id = :id AND session_no = :no

-- share_list: the shares of a session, the latest first
SELECT h.no, h.id, s.id AS session_id, k."user" AS maker, h.created_at, h.expires_at, h.revoked_at,
    k.revoked_at AS key_revoked_at, k.expires_at AS key_expires_at
FROM share h JOIN session s ON s.no = h.session_no JOIN api_key k ON k.no = h.key_no
WHERE s.id = :session_id AND h.no < :before ORDER BY h.no DESC LIMIT :limit

-- share_expire: forget those that are over for long
DELETE FROM share WHERE no IN (SELECT no FROM share WHERE expires_at <= :before ORDER BY expires_at LIMIT :limit)

-- purge_shares: free those of a deleted session
DELETE FROM share WHERE session_no = :no

-- guest_by_hash: who presents a secret that is no key's: a signed-in browser, or whoever has a share
SELECT k.id, k.tenant, k."user", k.role, k.root, i.id AS sign_in, NULL AS session_id
FROM sign_in i JOIN api_key k ON k.no = i.key_no
WHERE i.secret_hash = :secret_hash AND i.expires_at > :at
    AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :at)
UNION ALL
SELECT h.id, s.tenant, h.id, 'viewer', 0, NULL, s.id
FROM share h JOIN session s ON s.no = h.session_no JOIN api_key k ON k.no = h.key_no
WHERE h.secret_hash = :secret_hash AND h.revoked_at IS NULL AND h.expires_at > :at AND s.state <> 'deleted'
    AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :at)
