-- Approvals, the ledger of tool calls, and runs that wait for people.

-- run_ask: it waits for people from here on
UPDATE run SET state = 'waiting' WHERE id = :id AND {run.ask}

-- run_continue: it was answered, its runner is still held, and there is a slot
UPDATE run SET state = 'running' WHERE id = :id AND {run.continue} AND owner IS NOT NULL

-- run_answer: it was answered and waits for a slot; its host may go on keeping its runner
UPDATE run SET state = 'queued', held_by = owner, owner = NULL, reason = :reason WHERE id = :id AND {run.answer}

-- run_let_go: nobody keeps its runner any more; whoever takes the run starts its next attempt
UPDATE run SET held_by = NULL, owner = NULL WHERE id = :id AND state IN ('queued', 'waiting')

-- approval_insert: a call waits for a person
INSERT INTO approval (id, session_no, tenant, owner, run_id, call_id, tool, own, arguments, digest, reason, done,
    state, requested_at, expires_at)
SELECT :id, s.no, s.tenant, s.owner, :run_id, :call_id, :tool, :own, :arguments, :digest, :reason, :done,
    'pending', :at, :expires_at
FROM session s WHERE s.no = :no

-- approval_resolve: somebody, a rule or the clock decided
UPDATE approval SET state = :state, resolved_at = :at, decided_by = :by, note = :note,
    arguments = coalesce(:arguments, arguments), digest = coalesce(:digest, digest)
WHERE id = :id AND {approval.deny}

-- approval_remember: it holds for later calls of the session too
UPDATE approval SET remember = 'session' WHERE id = :id

-- approval_row: one approval with what its decision depends on
SELECT a.id, a.session_no, a.run_id, a.call_id, a.tool, a.state, a.decided_by, a.resolved_at, a.expires_at,
    r.author, m.origin, a.own
FROM approval a JOIN run r ON r.id = a.run_id
LEFT JOIN message m ON m.session_no = a.session_no AND m.id = r.message_id WHERE a.id = :id

-- approval_pending: the undecided approvals of a run, oldest first
SELECT id, call_id FROM approval WHERE run_id = :run_id AND state = 'pending' ORDER BY no

-- approval_due: approvals that nobody answered in time
SELECT id FROM approval WHERE state = 'pending' AND expires_at <= :at ORDER BY expires_at LIMIT :limit

-- approval_next: when the next approval expires
SELECT min(expires_at) FROM approval WHERE state = 'pending'

-- approval_decided: what became of the approvals of a run, oldest first
SELECT id, call_id, tool, arguments, state, note FROM approval
WHERE run_id = :run_id AND state <> 'pending' ORDER BY no

-- remembered_put: a tool is allowed for this session and author from now on
INSERT INTO remembered (session_no, tool, author, approval_id) VALUES (:no, :tool, :author, :approval_id)
ON CONFLICT (session_no, tool, author) DO NOTHING

-- remembered_get: whether a tool is allowed for this session and author
SELECT 1 FROM remembered WHERE session_no = :no AND tool = :tool AND author = :author

-- call_origin: what the message of a run was made of
SELECT origin FROM message WHERE session_no = :no AND id = :id

-- remembered_drop: what an approval allowed for later calls is allowed no longer
DELETE FROM remembered WHERE session_no = :no AND approval_id = :approval_id

-- effect_insert: a call is intended, or dispatched at once
INSERT INTO effect (id, session_no, run_id, tool, own, call_key, digest, nth, arguments, replay, state, attempt)
VALUES (:id, :no, :run_id, :tool, :own, :key, :digest, :nth, :arguments, :replay, :state, :attempt)

-- effect_same: the call that was asked for before, by what it is
SELECT e.id, e.attempt, e.digest, e.replay, e.state, e.status, e.result, a.state, a.id,
    coalesce(a.arguments, e.arguments), coalesce(a.digest, e.digest)
FROM effect e LEFT JOIN approval a ON a.call_id = e.id
WHERE e.run_id = :run_id AND e.tool = :tool AND e.own = :own AND e.digest = :digest AND e.nth = :nth AND e.call_key IS NULL

-- effect_keyed: the call that was asked for before, by the agent's key
SELECT e.id, e.attempt, e.digest, e.replay, e.state, e.status, e.result, a.state, a.id,
    coalesce(a.arguments, e.arguments), coalesce(a.digest, e.digest)
FROM effect e LEFT JOIN approval a ON a.call_id = e.id
WHERE e.run_id = :run_id AND e.tool = :tool AND e.own = :own AND e.call_key = :key

-- effect_row: one call
SELECT e.id, e.attempt, e.digest, e.replay, e.state, e.status, e.result, a.state, a.id,
    coalesce(a.arguments, e.arguments), coalesce(a.digest, e.digest)
FROM effect e LEFT JOIN approval a ON a.call_id = e.id WHERE e.id = :id AND e.run_id = :run_id

-- effect_ask_again: this attempt asked for it too
UPDATE effect SET attempt = :attempt WHERE id = :id

-- effect_dispatch: it is about to be made
UPDATE effect SET state = 'dispatched', status = NULL, result = NULL, attempt = :attempt
WHERE id = :id AND ({effect.dispatch} OR {effect.repeat})

-- effect_settle: it has ended, or was never made
UPDATE effect SET state = 'settled', status = :status, result = :result
WHERE id = :id AND ({effect.settle} OR {effect.refuse})

-- effect_lose: nobody knows how it ended
UPDATE effect SET state = 'unknown', status = 'unknown' WHERE id = :id AND {effect.lose}

-- effect_open: calls of a run that were neither answered nor refused
SELECT id, state FROM effect WHERE run_id = :run_id AND state IN ('intended', 'dispatched') ORDER BY no

-- effect_unasked: calls that earlier attempts made for good or that are unknown, and this one left out
SELECT id FROM effect WHERE run_id = :run_id AND attempt < :attempt
    AND (state IN ('dispatched', 'unknown') OR replay = 'never' AND status IN ('ok', 'error')) ORDER BY no

-- purge_approvals: free some of its approvals
DELETE FROM approval WHERE no IN (SELECT no FROM approval WHERE session_no = :no LIMIT :limit)

-- purge_effects: free some of its calls
DELETE FROM effect WHERE no IN (SELECT no FROM effect WHERE session_no = :no LIMIT :limit)

-- purge_remembered: free what was allowed for it
DELETE FROM remembered WHERE session_no = :no

-- read_ground_of_approval: whose approval it is
SELECT s.id, s.tenant, s.owner, s.agent FROM approval a JOIN session s ON s.no = a.session_no
WHERE a.id = :id AND s.state <> 'deleted'

-- read_approval: one approval
SELECT a.no AS rank, a.id, s.id AS session_id, a.run_id, a.call_id, a.tool, a.arguments, a.digest, a.reason, a.done,
    a.state, a.requested_at, a.expires_at, a.resolved_at, a.decided_by, a.note, a.remember, a.own
FROM approval a JOIN session s ON s.no = a.session_no WHERE a.id = :id AND s.state <> 'deleted'

-- approval_forget: it holds for its own call only
UPDATE approval SET remember = NULL WHERE id = :id

-- audit_approvals: every approval of a session
SELECT id, run_id, call_id, state, digest FROM approval WHERE session_no = :no ORDER BY no

-- audit_effects: every call of a session
SELECT id, state, status FROM effect WHERE session_no = :no ORDER BY no
