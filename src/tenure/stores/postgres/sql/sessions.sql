-- What only Postgres says so. The other statements on the same things are shared.

-- head_get: where a session's journal stands; nobody else gives it numbers until the end of the transaction
SELECT strand, seq FROM head WHERE session_no = :no FOR NO KEY UPDATE

-- key_roles: the roles that a user's living keys have; none of them is revoked until the end of the transaction
SELECT role FROM api_key
WHERE tenant = :tenant AND "user" = :user AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :at)
FOR SHARE

-- run_fence: whose session it is, if the run is live and still held by this incarnation
SELECT s.no, s.id FROM run r JOIN session s ON s.no = r.session_no
WHERE r.id = :run_id AND (r.owner = :owner AND r.state IN ('running', 'waiting', 'interrupting')
    OR r.held_by = :owner AND r.state = 'queued')

-- run_oldest: the run of an author that has waited longest, whose agent is here and whose session nobody works on
SELECT r.id FROM run r JOIN head h ON h.session_no = r.session_no
WHERE r.tenant = :tenant AND r.author = :author AND r.state = 'queued' AND r.agent = ANY(CAST(:agents AS text[]))
ORDER BY r.no LIMIT 1
FOR NO KEY UPDATE OF h SKIP LOCKED

-- slot_read: everybody's slots, and one author's
SELECT CAST(coalesce(sum(live), 0) AS bigint), CAST(coalesce(sum(queued), 0) AS bigint),
    coalesce((SELECT live FROM slot WHERE tenant = :tenant AND author = :author), 0)
FROM slot WHERE live > 0 OR queued > 0

-- slot_gate: of so many stripes, each held by one act that starts runs, the author's; all where the limit is near
SELECT pg_advisory_xact_lock(2113733123, stripe) FROM (
    SELECT stripe FROM generate_series(0, CAST(:stripes AS integer) - 1) AS stripe
    WHERE stripe = abs(hashtext(concat_ws(chr(31), CAST(:tenant AS text), CAST(:author AS text))) % CAST(:stripes AS integer))
        OR (SELECT coalesce(sum(live), 0) FROM slot WHERE live > 0 OR queued > 0) > CAST(:most AS bigint) - 2 * CAST(:stripes AS integer)
    ORDER BY stripe) AS wanted

-- slot_move: what an act did to the slots of an author; who begins to wait or was served stands behind all others
INSERT INTO slot (tenant, author, live, queued, since)
VALUES (:tenant, :author, greatest(:live, 0), greatest(:queued, 0),
    CASE WHEN CAST(:served AS bigint) = 1 OR CAST(:comes AS bigint) = 1 THEN nextval('turn') END)
ON CONFLICT (tenant, author) DO UPDATE SET live = slot.live + :live, queued = slot.queued + :queued,
    since = CASE WHEN :served = 1 OR :comes = 1 AND slot.queued + :queued = 1 THEN nextval('turn') ELSE slot.since END

-- slot_next: the author with waiting runs of these agents who has the fewest live ones; of several who waits longest
SELECT tenant, author FROM slot s WHERE queued > 0 AND live < :most AND tenant <> '' AND EXISTS (
    SELECT 1 FROM run r WHERE r.tenant = s.tenant AND r.author = s.author AND r.state = 'queued'
        AND r.agent = ANY(CAST(:agents AS text[])))
ORDER BY live, since LIMIT 1

-- read_session: everything a client is told of one session
SELECT s.no, s.id, s.agent, s.tenant, s.owner, s.title, s.labels, s.conversation, s.state, s.queue_held,
    s.message_count, s.input_tokens, s.output_tokens, s.cost, s.created_at, s.updated_at, h.seq,
    r.id AS run_id, r.state AS run_state,
    CASE WHEN r.state = 'waiting' THEN (SELECT json_agg(json_build_object('id', a.id, 'tool', a.tool, 'call_id', a.call_id,
        'arguments', CAST(a.arguments AS json), 'expires_at', to_char(timestamp 'epoch'
        + a.expires_at * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY a.no)
        FROM approval a WHERE a.session_no = s.no AND a.state = 'pending') END AS approvals
FROM session s JOIN head h ON h.session_no = s.no
LEFT JOIN run r ON r.session_no = s.no AND r.{run.live}
WHERE s.id = :id AND s.state <> 'deleted'

-- read_sessions: a page of sessions, newest first
SELECT s.no, s.id, s.agent, s.tenant, s.owner, s.title, s.labels, s.conversation, s.state, s.queue_held,
    s.message_count, s.input_tokens, s.output_tokens, s.cost, s.created_at, s.updated_at, h.seq,
    r.id AS run_id, r.state AS run_state,
    CASE WHEN r.state = 'waiting' THEN (SELECT json_agg(json_build_object('id', a.id, 'tool', a.tool, 'call_id', a.call_id,
        'arguments', CAST(a.arguments AS json), 'expires_at', to_char(timestamp 'epoch'
        + a.expires_at * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY a.no)
        FROM approval a WHERE a.session_no = s.no AND a.state = 'pending') END AS approvals
FROM session s JOIN head h ON h.session_no = s.no
LEFT JOIN run r ON r.session_no = s.no AND r.{run.live}
WHERE s.state <> 'deleted' AND s.no < :before
    AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant)
    AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
    AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (CAST(:state AS text) IS NULL OR s.state = :state)
    AND (CAST(:run AS text) IS NULL OR CASE :run WHEN 'none' THEN r.id IS NULL WHEN 'waiting' THEN r.state = 'waiting'
        ELSE r.id IS NOT NULL AND r.state <> 'waiting' END)
    AND (CAST(:last AS text) IS NULL OR :last = (SELECT l.state FROM run l WHERE l.session_no = s.no ORDER BY l.no DESC LIMIT 1))
    AND NOT EXISTS (SELECT 1 FROM json_each_text(CAST(:labels AS json)) l WHERE NOT EXISTS
        (SELECT 1 FROM json_each_text(CAST(s.labels AS json)) x WHERE x.key = l.key AND x.value = l.value))
    AND (CAST(:words AS text) IS NULL OR s.no IN (
        SELECT -f.doc FROM search f WHERE f.words @@ CAST(CAST(:words AS text) AS tsquery) AND f.doc < 0
        UNION
        SELECT m.session_no FROM search f JOIN message m ON m.no = f.doc
        WHERE f.words @@ CAST(CAST(:words AS text) AS tsquery) AND f.doc > 0 AND m.superseded = 0 AND m.undone = 0))
ORDER BY s.no DESC LIMIT :limit

-- audit_slots: authors whose counted slots aren't those of their runs
SELECT s.tenant, s.author, s.live, s.queued,
    (SELECT count(*) FROM run r WHERE {run.slot} AND r.tenant = s.tenant AND r.author = s.author) AS real_live,
    (SELECT count(*) FROM run r WHERE r.state = 'queued' AND r.tenant = s.tenant AND r.author = s.author) AS real_queued
FROM slot s

-- audit_slot_total: the same over all authors
SELECT (SELECT count(*) FROM run WHERE {run.slot}) AS live, (SELECT count(*) FROM run WHERE state = 'queued') AS queued

-- quota_lock: how many sessions an owner has open; nobody else opens or closes one meanwhile
SELECT open FROM quota WHERE tenant = :tenant AND owner = :owner FOR NO KEY UPDATE

-- read_figures: counts over the whole store
SELECT (SELECT count(*) FROM session) - (SELECT count(*) FROM session WHERE state = 'deleted') AS sessions,
    coalesce((SELECT open FROM quota WHERE tenant = '' AND owner = ''), 0) AS open_sessions,
    CAST(coalesce((SELECT sum(live) FROM slot WHERE live > 0 OR queued > 0), 0) AS bigint) AS live_runs,
    CAST(coalesce((SELECT sum(queued) FROM slot WHERE live > 0 OR queued > 0), 0) AS bigint) AS queued_runs,
    CAST(coalesce((SELECT sum(seq - base) FROM head), 0) AS bigint) AS events
