-- Every statement of the SQLite store. `-- name: purpose`, then the statement.

-- meta_get: one fact about the store
SELECT value FROM meta WHERE name = :name

-- meta_put: set one fact about the store
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- meta_begin: set one fact about the store, unless somebody else just did
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING

-- receipt_get: what the same key was answered before
SELECT digest, answer FROM receipt WHERE tenant = :tenant AND "user" = :user AND key = :key

-- receipt_put: keep an answer under its key
INSERT INTO receipt (tenant, "user", key, digest, answer, created_at, session_no)
VALUES (:tenant, :user, :key, :digest, :answer, :at, (SELECT no FROM session WHERE id = :session_id))

-- receipt_expire: forget answers older than their time
DELETE FROM receipt WHERE created_at < :before

-- key_insert: a new API key, by the hash of its secret
INSERT INTO api_key (id, secret_hash, tenant, "user", role, name, root, created_at, expires_at)
VALUES (:id, :secret_hash, :tenant, :user, :role, :name, :root, :at, :expires_at)

-- key_revoke: end a key
UPDATE api_key SET revoked_at = :at WHERE id = :id AND revoked_at IS NULL

-- key_revoke_roots: a new bootstrap admin replaces the old one
UPDATE api_key SET revoked_at = :at WHERE root = 1 AND revoked_at IS NULL

-- key_by_hash: who presents this secret
SELECT id, tenant, "user", role, root FROM api_key
WHERE secret_hash = :secret_hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :at)

-- key_by_id: one key
SELECT no, id, tenant, "user", role, name, created_at, expires_at, revoked_at FROM api_key WHERE id = :id

-- key_by_secret: one key, whatever its state
SELECT id FROM api_key WHERE secret_hash = :secret_hash

-- key_list: a page of keys, oldest first
SELECT no, id, tenant, "user", role, name, created_at, expires_at, revoked_at FROM api_key
WHERE no > :after AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant) ORDER BY no LIMIT :limit

-- session_insert: a new session
INSERT INTO session
    (id, tenant, owner, agent, title, labels, conversation, claimant, state, created_at, updated_at)
VALUES (:id, :tenant, :owner, :agent, :title, :labels, :conversation, :claimant, 'open', :at, :at)
RETURNING no

-- head_insert: the numbers of a new session begin at 1
INSERT INTO head (session_no, strand, seq) VALUES (:no, :no, 0)

-- session_get: what acts need to know of a session
SELECT no, id, tenant, owner, agent, state, queue_held FROM session WHERE id = :id AND state <> 'deleted'

-- session_get_by_no: the same, by its internal number
SELECT no, id, tenant, owner, agent, state, queue_held FROM session WHERE no = :no

-- session_update: rename or relabel
UPDATE session SET title = :title, labels = :labels, updated_at = :at WHERE no = :no

-- session_words: its title and labels
SELECT title, labels FROM session WHERE no = :no

-- session_close: nothing can be sent any more
UPDATE session SET state = 'closed', updated_at = :at WHERE no = :no AND {session.close}

-- session_reopen: messages are welcome again
UPDATE session SET state = 'open', updated_at = :at WHERE no = :no AND {session.reopen}

-- session_delete: the tombstone
UPDATE session SET state = 'deleted', updated_at = :at WHERE no = :no AND {session.delete}

-- session_hold: hold the queue, or release it
UPDATE session SET queue_held = :held WHERE no = :no

-- head_strand: which rows of the journal are a session's
SELECT strand FROM head WHERE session_no = :no

-- journal_after: stored ranges behind a cursor
SELECT first_seq, last_seq, body FROM journal WHERE strand = :strand AND last_seq > :after ORDER BY last_seq

-- journal_before: stored ranges before a cursor, newest first
SELECT first_seq, last_seq, body FROM journal WHERE strand = :strand AND first_seq < :before
    AND last_seq <= coalesce((SELECT min(n.last_seq) FROM journal n WHERE n.strand = :strand AND n.last_seq >= :before), :before)
ORDER BY last_seq DESC

-- journal_from: stored ranges from a number on, for the text of a message that is still being said
SELECT first_seq, last_seq, body FROM journal WHERE strand = :strand AND last_seq >= :seq ORDER BY last_seq

-- message_receipt: what was answered when it was admitted
SELECT content, receipt, origin FROM message WHERE session_no = :no AND id = :id AND role = 'user'

-- message_entered: since when a message stands in the transcript
SELECT entered_seq FROM message WHERE session_no = :no AND id = :id

-- message_settle: its run has an outcome
UPDATE message SET state = 'settled' WHERE session_no = :no AND run_id = :run_id AND {message.settle}

-- reply_open: the agent began to say something
INSERT INTO message (session_no, id, role, state, content, run_id, entered_seq)
VALUES (:no, :id, 'assistant', 'streaming', '""', :run_id, :seq)

-- reply_close: the agent said it, or was cut off
UPDATE message SET state = :state, content = :content WHERE session_no = :no AND id = :id

-- reply_whole: the agent said it at once
INSERT INTO message (session_no, id, role, state, content, run_id, entered_seq)
VALUES (:no, :id, 'assistant', :state, :content, :run_id, :seq)

-- reply_supersede: a run starts over
UPDATE message SET superseded = 1, state = CASE WHEN state = 'streaming' THEN 'partial' ELSE state END
WHERE session_no = :no AND run_id = :run_id AND role = 'assistant' AND superseded = 0

-- run_insert: a run with its grant; one that has a slot is claimed at once, if its host is still alive
INSERT INTO run (id, session_no, tenant, author, agent, message_id, state, grant_json, grant_digest, queued_at,
    owner, attempt, started_at)
SELECT :id, :no, :tenant, :author, :agent, :message_id, :state, :grant_json, :grant_digest, CAST(:at AS bigint),
    CAST(:owner AS bigint), CASE WHEN CAST(:owner AS bigint) IS NULL THEN 0 ELSE 1 END,
    CASE WHEN CAST(:owner AS bigint) IS NULL THEN NULL ELSE CAST(:at AS bigint) END
WHERE CAST(:owner AS bigint) IS NULL OR EXISTS (SELECT 1 FROM host WHERE incarnation = CAST(:owner AS bigint))

-- run_live: the run of a session that isn't over
SELECT id, session_no, tenant, author, agent, message_id, state, grant_json, grant_digest, attempt, lapses,
    owner, by_deadline, reason, started_at, held_by
FROM run WHERE session_no = :no AND {run.live}

-- run_get: one run
SELECT id, session_no, tenant, author, agent, message_id, state, grant_json, grant_digest, attempt, lapses,
    owner, by_deadline, reason, started_at, held_by
FROM run WHERE id = :id

-- run_held: a live run that this incarnation holds, and its session
SELECT r.id, r.session_no, r.tenant, r.author, r.agent, r.message_id, r.state, r.grant_json, r.grant_digest,
    r.attempt, r.lapses, r.owner, r.by_deadline, r.reason, r.started_at, r.held_by,
    s.no, s.id, s.tenant, s.owner, s.agent, s.state, s.queue_held
FROM run r JOIN session s ON s.no = r.session_no
WHERE r.id = :id AND (r.owner = :owner OR r.state = 'queued' AND r.held_by = :owner)

-- run_claim: this host has it now, if it is still alive
UPDATE run SET state = 'running', owner = :owner, reason = '',
    attempt = attempt + CASE WHEN held_by = :owner THEN 0 ELSE 1 END, held_by = NULL,
    started_at = coalesce(started_at, :at)
WHERE id = :id AND {run.claim} AND EXISTS (SELECT 1 FROM host WHERE incarnation = :owner)

-- run_interrupt: it was asked to stop
UPDATE run SET state = 'interrupting' WHERE id = :id AND {run.interrupt}

-- run_because: why it was asked to stop; its outcome will say so
UPDATE run SET reason = :reason WHERE id = :id

-- run_expire: its time is up
UPDATE run SET by_deadline = 1, reason = :reason WHERE id = :id AND {run.deadline}

-- run_lapse: its host is gone or let it go
UPDATE run SET state = 'queued', owner = NULL, lapses = lapses + :lapses, reason = :reason
WHERE id = :id AND {run.lose_lease} AND state = 'running'

-- run_end: its one outcome
UPDATE run SET state = :state, reason = :reason, retryable = :retryable, usage = :usage, owner = NULL,
    held_by = NULL, finished_at = :at
WHERE id = :id AND {run.live}

-- quota_get: how many sessions an owner has open
SELECT open FROM quota WHERE tenant = :tenant AND owner = :owner

-- quota_move: a session was opened or closed; the row of all comes first always, so that nobody waits in a circle
INSERT INTO quota (tenant, owner, open)
VALUES ('', '', CASE WHEN :open > 0 THEN :open ELSE 0 END), (:tenant, :owner, CASE WHEN :open > 0 THEN :open ELSE 0 END)
ON CONFLICT (tenant, owner) DO UPDATE SET open = quota.open + :open

-- purge_next: a deleted session whose rows are still here
SELECT no FROM session WHERE state = 'deleted' ORDER BY no LIMIT 1

-- purge_journal: free some of its journal
DELETE FROM journal WHERE pos IN (SELECT pos FROM journal WHERE strand = :no LIMIT :limit)

-- purge_messages: free some of its messages
DELETE FROM message WHERE no IN (SELECT no FROM message WHERE session_no = :no LIMIT :limit)

-- purge_runs: free some of its runs
DELETE FROM run WHERE no IN (SELECT no FROM run WHERE session_no = :no LIMIT :limit)

-- purge_head: free its numbers
DELETE FROM head WHERE session_no = :no

-- purge_session: nothing is left
DELETE FROM session WHERE no = :no

-- read_ground: whose session it is
SELECT id, tenant, owner, agent FROM session WHERE id = :id AND state <> 'deleted'

-- read_ground_of_run: whose run it is
SELECT s.id, s.tenant, s.owner, s.agent FROM run r JOIN session s ON s.no = r.session_no
WHERE r.id = :id AND s.state <> 'deleted'

-- read_head: where a session's journal stands, by its id
SELECT h.session_no, h.strand, h.seq FROM head h JOIN session s ON s.no = h.session_no
WHERE s.id = :id AND s.state <> 'deleted'

-- read_run: one run
SELECT r.no, r.id, s.id AS session_id, r.agent, r.state, r.reason, r.retryable, r.attempt, r.message_id,
    r.grant_json, r.grant_digest, r.usage, r.queued_at, r.started_at, r.finished_at
FROM run r JOIN session s ON s.no = r.session_no WHERE r.id = :id AND s.state <> 'deleted'

-- read_run_state: where a run is
SELECT state FROM run WHERE id = :id

-- read_runs: a page of the runs of a session, newest first
SELECT r.no, r.id, s.id AS session_id, r.agent, r.state, r.reason, r.retryable, r.attempt, r.message_id,
    r.grant_json, r.grant_digest, r.usage, r.queued_at, r.started_at, r.finished_at
FROM run r JOIN session s ON s.no = r.session_no
WHERE s.id = :id AND s.state <> 'deleted' AND r.no < :before ORDER BY r.no DESC LIMIT :limit

-- read_transcript: a page of the transcript, oldest first
SELECT id, role, state, author, origin, content, run_id, entered_seq, admitted_seq FROM message
WHERE session_no = :no AND entered_seq > :after AND superseded = 0 AND undone = 0 ORDER BY entered_seq LIMIT :limit

-- read_message: one message
SELECT m.id, m.role, m.state, m.author, m.content, m.run_id, m.entered_seq, m.admitted_seq, m.version,
    r.state AS outcome
FROM message m LEFT JOIN run r ON r.id = m.run_id AND r.finished_at IS NOT NULL
WHERE m.session_no = :no AND m.id = :id

-- read_session_ids: every session, for the invariant checker
SELECT id FROM session WHERE id > :after ORDER BY id LIMIT :limit

-- audit_session: a session as it is stored, the deleted included
SELECT s.no, s.state, s.queue_held, h.strand, h.seq, h.base FROM session s JOIN head h ON h.session_no = s.no WHERE s.id = :id

-- audit_messages: every message of a session
SELECT id, role, state, run_id, superseded, content, entered_seq, joined, undone FROM message
WHERE session_no = :no ORDER BY no

-- audit_runs: every run of a session
SELECT id, state, grant_digest,
    EXISTS (SELECT 1 FROM host h WHERE h.incarnation = owner) AS owned
FROM run WHERE session_no = :no ORDER BY no

-- audit_quotas: owners whose counted sessions aren't those they have open
SELECT q.tenant, q.owner, q.open,
    (SELECT count(*) FROM session s WHERE s.state = 'open' AND s.tenant = q.tenant AND s.owner = q.owner) AS real_open
FROM quota q WHERE q.tenant <> ''

-- audit_quota_booked: how many sessions are open by the books
SELECT open FROM quota WHERE tenant = '' AND owner = ''

-- audit_quota_total: the same over all owners
SELECT count(*) AS open FROM session WHERE state = 'open'

-- audit_dead_owners: live runs held by a life of a host that is over
SELECT r.id FROM run r WHERE r.owner IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM host h WHERE h.incarnation = r.owner)

-- read_waiting: the messages that wait: whose run waits for a slot, then those that steer, then the queue
SELECT id, role, state, author, origin, content, run_id, entered_seq, admitted_seq
FROM (
    SELECT * FROM message WHERE session_no = :no AND state = 'queued'
    UNION ALL
    SELECT * FROM message WHERE session_no = :no AND state = 'steered') AS waiting
ORDER BY state = 'queued' AND run_id IS NULL, state = 'steered', place
