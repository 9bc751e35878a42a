-- What only SQLite says so. The other statements on the same things are shared.

-- session_touch: something happened
UPDATE session SET updated_at = max(updated_at, ?), message_count = message_count + ? WHERE no = ?

-- head_get: where a session's journal stands
SELECT strand, seq FROM head WHERE session_no = ?

-- head_set: after a commit of new entries
UPDATE head SET seq = ? WHERE session_no = ?

-- journal_insert: one range of one session
INSERT INTO journal (strand, first_seq, last_seq, body) VALUES (?, ?, ?, ?)

-- run_fence: whose session it is, if the run is live and still held by this incarnation
SELECT s.no, s.id FROM run r JOIN session s ON s.no = r.session_no
WHERE r.id = ?1 AND (r.owner = ?2 AND r.state IN ('running', 'waiting', 'interrupting')
    OR r.held_by = ?2 AND r.state = 'queued')

-- run_oldest: the run of an author that has waited longest
SELECT id FROM run WHERE tenant = :tenant AND author = :author AND state = 'queued' ORDER BY no LIMIT 1

-- slot_read: everybody's slots, and one author's
SELECT coalesce((SELECT live FROM slot WHERE tenant = '' AND author = ''), 0),
    coalesce((SELECT queued FROM slot WHERE tenant = '' AND author = ''), 0),
    coalesce((SELECT live FROM slot WHERE tenant = :tenant AND author = :author), 0)

-- slot_move: a run of this author began or ceased to hold a slot or to wait for one
INSERT INTO slot (tenant, author, live, queued)
VALUES (:tenant, :author, max(:live, 0), max(:queued, 0)), ('', '', max(:live, 0), max(:queued, 0))
ON CONFLICT (tenant, author) DO UPDATE SET live = live + :live, queued = queued + :queued

-- slot_turns: one more turn was given out; the row of all counts them
UPDATE slot SET since = coalesce(since, 0) + 1 WHERE tenant = '' AND author = ''

-- slot_turn: an author who begins to wait, or was served, stands behind all others who wait
UPDATE slot SET since = (SELECT since FROM slot WHERE tenant = '' AND author = '')
WHERE tenant = :tenant AND author = :author AND (:served OR queued = 1)

-- slot_next: the author with waiting runs who has the fewest live ones, and of several the one who waits longest
SELECT tenant, author FROM slot WHERE queued > 0 AND live < :most AND tenant <> '' ORDER BY live, since LIMIT 1

-- read_session: everything a client is told of one session
SELECT s.no, s.id, s.agent, s.tenant, s.owner, s.title, s.labels, s.conversation, s.state, s.queue_held,
    s.message_count, s.input_tokens, s.output_tokens, s.cost, s.created_at, s.updated_at, h.seq,
    r.id AS run_id, r.state AS run_state,
    CASE WHEN r.state = 'waiting' THEN (SELECT json_group_array(json_object('id', a.id, 'tool', a.tool, 'call_id', a.call_id,
        'arguments', json(a.arguments), 'expires_at', strftime('%Y-%m-%dT%H:%M:%S', a.expires_at / 1000000, 'unixepoch')
        || printf('.%06dZ', a.expires_at % 1000000)))
        FROM approval a WHERE a.session_no = s.no AND a.state = 'pending') END AS approvals
FROM session s JOIN head h ON h.session_no = s.no
LEFT JOIN run r ON r.session_no = s.no AND r.{run.live}
WHERE s.id = :id AND s.state <> 'deleted'

-- read_sessions: a page of sessions, newest first
SELECT s.no, s.id, s.agent, s.tenant, s.owner, s.title, s.labels, s.conversation, s.state, s.queue_held,
    s.message_count, s.input_tokens, s.output_tokens, s.cost, s.created_at, s.updated_at, h.seq,
    r.id AS run_id, r.state AS run_state,
    CASE WHEN r.state = 'waiting' THEN (SELECT json_group_array(json_object('id', a.id, 'tool', a.tool, 'call_id', a.call_id,
        'arguments', json(a.arguments), 'expires_at', strftime('%Y-%m-%dT%H:%M:%S', a.expires_at / 1000000, 'unixepoch')
        || printf('.%06dZ', a.expires_at % 1000000)))
        FROM approval a WHERE a.session_no = s.no AND a.state = 'pending') END AS approvals
FROM session s JOIN head h ON h.session_no = s.no
LEFT JOIN run r ON r.session_no = s.no AND r.{run.live}
WHERE s.state <> 'deleted' AND s.no < :before
    AND (:tenant IS NULL OR s.tenant = :tenant)
    AND (:owner IS NULL OR s.owner = :owner)
    AND (:agent IS NULL OR s.agent = :agent)
    AND (:state IS NULL OR s.state = :state)
    AND (:run IS NULL OR CASE :run WHEN 'none' THEN r.id IS NULL WHEN 'waiting' THEN r.state = 'waiting'
        ELSE r.id IS NOT NULL AND r.state <> 'waiting' END)
    AND (:last IS NULL OR :last = (SELECT l.state FROM run l WHERE l.session_no = s.no ORDER BY l.no DESC LIMIT 1))
    AND NOT EXISTS (SELECT 1 FROM json_each(:labels) l WHERE NOT EXISTS
        (SELECT 1 FROM json_each(s.labels) x WHERE x.key = l.key AND x.value = l.value))
    AND (:words IS NULL OR s.no IN (
        SELECT -f.rowid FROM search f WHERE f.search MATCH :words AND f.rowid < 0
        UNION
        SELECT m.session_no FROM search f JOIN message m ON m.no = f.rowid
        WHERE f.search MATCH :words AND f.rowid > 0 AND m.superseded = 0 AND m.undone = 0))
ORDER BY s.no DESC LIMIT :limit

-- audit_slots: authors whose counted slots aren't those of their runs
SELECT s.tenant, s.author, s.live, s.queued,
    (SELECT count(*) FROM run r WHERE {run.slot} AND r.tenant = s.tenant AND r.author = s.author) AS real_live,
    (SELECT count(*) FROM run r WHERE r.state = 'queued' AND r.tenant = s.tenant AND r.author = s.author) AS real_queued
FROM slot s WHERE s.tenant <> ''

-- audit_slot_total: the same over all authors
SELECT (SELECT count(*) FROM run WHERE {run.slot}) AS live, (SELECT count(*) FROM run WHERE state = 'queued') AS queued

-- quota_lock: how many sessions an owner has open; nobody else opens or closes one meanwhile
SELECT open FROM quota WHERE tenant = :tenant AND owner = :owner

-- read_figures: counts over the whole store
SELECT (SELECT count(*) FROM session) - (SELECT count(*) FROM session WHERE state = 'deleted') AS sessions,
    coalesce((SELECT open FROM quota WHERE tenant = '' AND owner = ''), 0) AS open_sessions,
    coalesce((SELECT live FROM slot WHERE tenant = '' AND author = ''), 0) AS live_runs,
    coalesce((SELECT queued FROM slot WHERE tenant = '' AND author = ''), 0) AS queued_runs,
    coalesce((SELECT sum(seq - base) FROM head), 0) AS events

-- key_roles: the roles that a user's living keys have
SELECT role FROM api_key
WHERE tenant = :tenant AND "user" = :user AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :at)
