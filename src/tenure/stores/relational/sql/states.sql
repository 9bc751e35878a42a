-- State. `-- name: purpose`, then the statement.

-- state_setting: a session as state sees it
SELECT id, tenant, agent, conversation, claimant FROM session WHERE id = :id AND state <> 'deleted'

-- state_writer: the session of a run, if this attempt of it is live and held by this life of a host
SELECT s.no, s.id FROM run r JOIN session s ON s.no = r.session_no
WHERE r.id = :run_id AND r.attempt = :attempt
    AND (r.owner = :owner AND r.{run.live} OR r.held_by = :owner AND r.state = 'queued')

-- state_place_make: an identity gets its first value
INSERT INTO state_place (digest, scope, session_no, last_session, last_seq)
VALUES (:digest, :scope, :session_no, :last_session, :last_seq)
RETURNING no

-- state_place_move: what is kept there changed
UPDATE state_place SET floor = CASE WHEN floor > :floor THEN floor ELSE :floor END, keys = keys + :keys, bytes = bytes + :bytes,
    last_session = :last_session, last_seq = :last_seq
WHERE no = :no

-- state_place_less: values of it have expired and are gone
UPDATE state_place SET floor = CASE WHEN floor > :floor THEN floor ELSE :floor END, keys = keys - 1, bytes = bytes - :bytes WHERE no = :no

-- state_value: one value, expired or not
SELECT no, version, expires_at, size FROM state_value WHERE place_no = :place_no AND key = :key

-- state_insert: a key gets its first value
INSERT INTO state_value (place_no, key, version, expires_at, size, value)
VALUES (:place_no, :key, :version, :expires_at, :size, :value)

-- state_update: a key gets another value
UPDATE state_value SET version = :version, expires_at = :expires_at, size = :size, value = :value WHERE no = :no

-- state_delete: a key is gone
DELETE FROM state_value WHERE no = :no

-- state_expired: some values whose time is over
SELECT no, place_no, version, size FROM state_value WHERE expires_at <= :at ORDER BY expires_at LIMIT :limit

-- state_expired_in: the same in one place
SELECT no, place_no, version, size FROM state_value WHERE place_no = :place_no AND expires_at <= :at

-- state_all: everything in one place, for a copy
SELECT key, version, expires_at, value FROM state_value
WHERE place_no = :place_no AND (expires_at IS NULL OR expires_at > :at) ORDER BY no

-- read_state: one value that hasn't expired
SELECT p.scope, v.key, v.value, v.version, v.expires_at
FROM state_place p JOIN state_value v ON v.place_no = p.no AND v.key = :key
WHERE p.digest = :digest AND (v.expires_at IS NULL OR v.expires_at > :at)

-- read_states: the values of one place, in the order in which their keys came
SELECT v.no, p.scope, v.key, v.value, v.version, v.expires_at
FROM state_place p JOIN state_value v ON v.place_no = p.no
WHERE p.digest = :digest AND v.no > :after AND (v.expires_at IS NULL OR v.expires_at > :at)
ORDER BY v.no LIMIT :limit

-- read_state_weight: how much is kept in up to four places
SELECT CAST(coalesce(sum(bytes + keys), 0) AS bigint) FROM state_place WHERE digest IN (:one, :two, :three, :four)

-- read_state_cut: everything in up to four places
SELECT p.scope, v.key, v.value FROM state_place p JOIN state_value v ON v.place_no = p.no
WHERE p.digest IN (:one, :two, :three, :four) AND (v.expires_at IS NULL OR v.expires_at > :at) ORDER BY v.no

-- purge_states: free the values of a deleted session's own state
DELETE FROM state_value WHERE place_no IN (SELECT no FROM state_place WHERE session_no = :no)

-- purge_state_places: free the places of a deleted session's own state
DELETE FROM state_place WHERE session_no = :no

-- audit_states: places whose counts aren't those of their values
SELECT p.digest, p.keys, p.bytes, count(v.no) AS real_keys, CAST(coalesce(sum(v.size), 0) AS bigint) AS real_bytes
FROM state_place p LEFT JOIN state_value v ON v.place_no = p.no
GROUP BY p.no HAVING p.keys <> count(v.no) OR p.bytes <> coalesce(sum(v.size), 0)

-- audit_values: the values of a session's own state
SELECT v.key, v.version, v.value FROM state_place p JOIN state_value v ON v.place_no = p.no WHERE p.session_no = :no
