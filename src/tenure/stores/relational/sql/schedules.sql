-- Schedules and their occurrences.

-- schedule_insert: a new schedule
INSERT INTO schedule (id, tenant, owner, author, session_no, session_owner, agent, name, kind, content, timing, policy, explanation,
    cap, depth, made_by, state, next_at, wake_at, created_at, updated_at)
VALUES (:id, :tenant, :owner, :author, :session_no, :session_owner, :agent, :name, :kind, :content, :timing, :policy, :explanation,
    :cap, :depth, :made_by, 'active', :next_at, :wake_at, :at, :at)

-- schedule_quota_move: one more, or one less
INSERT INTO schedule_quota (tenant, owner, open) VALUES (:tenant, :owner, CASE WHEN :open > 0 THEN :open ELSE 0 END)
ON CONFLICT (tenant, owner) DO UPDATE SET open = schedule_quota.open + :open

-- host_stands: whether this life of the host is the current one
SELECT 1 FROM host WHERE incarnation = :incarnation

-- schedule_row: what decisions about a schedule depend on
SELECT no, id, tenant, owner, author, session_no, agent, name, kind, content, policy, cap, depth, state, next_at, version,
    runs, failures FROM schedule WHERE id = :id

-- schedule_move: instants were looked at; the next one comes
UPDATE schedule SET next_at = :next_at, wake_at = :wake_at, runs = runs + :runs, unlisted = unlisted + :unlisted,
    version = version + 1, updated_at = :at WHERE no = :no AND state IN ('active', 'paused')

-- schedule_finish: no instant is left
UPDATE schedule SET state = 'done', reason = 'finished', next_at = NULL, wake_at = NULL, runs = runs + :runs,
    unlisted = unlisted + :unlisted, version = version + 1, updated_at = :at WHERE no = :no AND {schedule.finish}

-- schedule_pause: it rests where it stands; what passed in a rest before, and wasn't looked at since, belongs to this one
UPDATE schedule SET state = 'paused', reason = :reason,
    paused_at = CASE WHEN wake_at <= resumed_at THEN paused_at ELSE :at END, resumed_at = NULL, version = version + 1,
    updated_at = :at WHERE no = :no AND {schedule.pause}

-- schedule_resume: it goes on where it stood
UPDATE schedule SET state = 'active', reason = NULL, resumed_at = :at, failures = 0, version = version + 1,
    updated_at = :at WHERE no = :no AND {schedule.resume} AND next_at IS NOT NULL

-- schedule_cancel: nothing of it comes any more
UPDATE schedule SET state = 'cancelled', reason = :reason, next_at = NULL, wake_at = NULL, version = version + 1,
    updated_at = :at WHERE no = :no AND {schedule.cancel}

-- schedule_revise: it says something else, or comes at other times
UPDATE schedule SET name = :name, kind = :kind, content = :content, timing = :timing, policy = :policy,
    explanation = :explanation, next_at = :next_at, wake_at = :wake_at, version = version + 1, updated_at = :at
WHERE no = :no AND state IN ('active', 'paused')

-- schedule_failures: so many occurrences failed one after the other
UPDATE schedule SET failures = :failures WHERE no = :no

-- schedules_of_session: what goes with a session
SELECT id FROM schedule WHERE session_no = :no AND state IN ('active', 'paused', 'done') ORDER BY no

-- schedule_cap: what the runs of a schedule may touch at most, as far as a run made it, and how deep it is nested
SELECT cap, depth FROM schedule WHERE id = :id

-- occurrence_insert: an instant was looked at
INSERT INTO occurrence (id, schedule_no, due_at, manual, state, reason, session_no, session_id, message_id, attempts, seen_at)
VALUES (:id, :schedule_no, :due_at, :manual, :state, :reason, :session_no, :session_id, :message_id, :attempts, :at)

-- occurrence_known: whether an instant was looked at before
SELECT 1 FROM occurrence WHERE id = :id

-- occurrence_row: one occurrence that may be tried again
SELECT no, schedule_no, due_at, session_id, attempts, retry_at, manual FROM occurrence WHERE id = :id

-- occurrence_again: it is admitted once more
UPDATE occurrence SET session_no = :session_no, session_id = :session_id, message_id = :message_id, run_id = NULL,
    outcome = NULL, attempts = :attempts, retry_at = NULL WHERE no = :no

-- occurrence_give_up: it isn't tried again
UPDATE occurrence SET retry_at = NULL WHERE no = :no

-- occurrences_give_up: none of a schedule's is tried again
UPDATE occurrence SET retry_at = NULL WHERE schedule_no = :schedule_no AND retry_at IS NOT NULL

-- occurrence_rerun: somebody has its run tried again
UPDATE occurrence SET outcome = NULL, run_id = NULL, retry_at = NULL WHERE session_no = :no AND message_id = :message_id

-- occurrence_of_message: the occurrence that a message stands for, and how many before it failed in a row
SELECT no, id, schedule_no, attempts, (SELECT failures FROM schedule WHERE schedule.no = schedule_no)
FROM occurrence WHERE session_no = :no AND message_id = :message_id

-- occurrence_settle: its run has ended
UPDATE occurrence SET outcome = :outcome, run_id = :run_id, retry_at = :retry_at WHERE no = :occurrence

-- occurrence_withdraw: its message was withdrawn before a run took it
UPDATE occurrence SET outcome = 'withdrawn' WHERE no = :occurrence AND outcome IS NULL

-- occurrences_oldest: the nominal instant of the oldest occurrence that is kept, if there are more
SELECT due_at FROM occurrence WHERE schedule_no = :no ORDER BY due_at DESC, no DESC LIMIT 1 OFFSET :most

-- schedule_trim: how many admitted ones will be forgotten
UPDATE schedule SET trimmed = trimmed + (SELECT count(*) FROM occurrence WHERE schedule_no = :no AND due_at < :oldest
    AND state = 'admitted' AND manual = 0 AND outcome IS NOT NULL AND retry_at IS NULL) WHERE no = :no

-- occurrences_trim: forget the oldest; what may still be tried again, or still runs, stays
DELETE FROM occurrence WHERE schedule_no = :no AND due_at < :oldest
    AND (state <> 'admitted' OR outcome IS NOT NULL) AND retry_at IS NULL

-- purge_occurrences: free some of what became of its schedules
DELETE FROM occurrence WHERE no IN (SELECT o.no FROM schedule s JOIN occurrence o ON o.schedule_no = s.no
    WHERE s.session_no = :no LIMIT :limit)

-- purge_recalled: what other schedules had in it keeps its outcome
UPDATE occurrence SET session_no = NULL WHERE session_no = :no AND message_id IS NOT NULL

-- purge_schedules: free its schedules
DELETE FROM schedule WHERE session_no = :no

-- read_schedule: one schedule
SELECT s.*, ses.id AS session_id FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no WHERE s.id = :id

-- read_schedules: schedules, newest first
SELECT s.*, ses.id AS session_id FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.no < :before
    AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant) AND (CAST(:owner AS text) IS NULL OR s.owner = :owner OR s.session_owner = :owner)
    AND (CAST(:state AS text) IS NULL AND s.state <> 'cancelled' OR s.state = :state) AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
ORDER BY s.no DESC LIMIT :limit

-- read_schedules_in_state: the same in one state
SELECT s.*, ses.id AS session_id FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.state = :state AND s.no < :before
    AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant) AND (CAST(:owner AS text) IS NULL OR s.owner = :owner OR s.session_owner = :owner)
    AND (CAST(:state AS text) IS NULL AND s.state <> 'cancelled' OR s.state = :state) AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
ORDER BY s.no DESC LIMIT :limit

-- read_schedules_of_session: the same of one session
SELECT s.*, ses.id AS session_id FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.session_no = (SELECT no FROM session WHERE id = :session_id) AND s.no < :before
    AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant) AND (CAST(:owner AS text) IS NULL OR s.owner = :owner OR s.session_owner = :owner)
    AND (CAST(:state AS text) IS NULL AND s.state <> 'cancelled' OR s.state = :state) AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
ORDER BY s.no DESC LIMIT :limit

-- read_own_schedules: the same of one user: what it made, and what others made for its sessions
SELECT s.*, ses.id AS session_id FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.tenant = :tenant AND s.owner = :owner AND s.no < :before
    AND (CAST(:state AS text) IS NULL AND s.state <> 'cancelled' OR s.state = :state) AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
UNION ALL
SELECT s.*, ses.id AS session_id FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.tenant = :tenant AND s.session_owner = :owner AND s.no < :before
    AND (CAST(:state AS text) IS NULL AND s.state <> 'cancelled' OR s.state = :state) AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
ORDER BY no DESC LIMIT :limit

-- read_last_occurrence: the newest occurrence of a schedule
SELECT o.*, coalesce(o.run_id, m.run_id) AS live_run_id FROM occurrence o
LEFT JOIN message m ON m.session_no = o.session_no AND m.id = o.message_id
WHERE o.schedule_no = :no ORDER BY o.due_at DESC, o.no DESC LIMIT 1

-- read_occurrence: one occurrence
SELECT o.*, coalesce(o.run_id, m.run_id) AS live_run_id, s.id AS schedule_id FROM occurrence o
JOIN schedule s ON s.no = o.schedule_no
LEFT JOIN message m ON m.session_no = o.session_no AND m.id = o.message_id WHERE o.id = :id

-- read_occurrences: what became of a schedule's instants, newest first
SELECT o.*, coalesce(o.run_id, m.run_id) AS live_run_id FROM occurrence o
LEFT JOIN message m ON m.session_no = o.session_no AND m.id = o.message_id
WHERE o.schedule_no = :no AND (o.due_at, o.no) < (:before_at, :before_no) ORDER BY o.due_at DESC, o.no DESC LIMIT :limit

-- schedule_figures: how many schedules there are in each state
SELECT state, count(*) FROM schedule GROUP BY state

-- audit_occurrences: every occurrence of a session, and every one of its schedules
SELECT o.id, s.id, o.state, o.manual, o.message_id, o.run_id, o.outcome, o.attempts, o.retry_at IS NOT NULL
FROM occurrence o JOIN schedule s ON s.no = o.schedule_no
WHERE o.session_no = :no AND o.message_id IS NOT NULL OR o.schedule_no IN (SELECT no FROM schedule WHERE session_no = :no) ORDER BY o.no

-- audit_schedules: every schedule of a session
SELECT id, state, unlisted, trimmed FROM schedule WHERE session_no = :no ORDER BY no

-- audit_schedule_runs: schedules whose admitted occurrences aren't as many as they count
SELECT s.id, s.runs, s.trimmed, count(o.no) AS real_runs FROM schedule s
LEFT JOIN occurrence o ON o.schedule_no = s.no AND o.state = 'admitted' AND o.manual = 0
GROUP BY s.no HAVING s.runs <> s.trimmed + count(o.no)

-- audit_schedule_quotas: users whose counted schedules aren't those that may still fire
SELECT tenant, owner, CAST(sum(open) AS bigint) AS open, CAST(sum(real_open) AS bigint) AS real_open FROM (
    SELECT tenant, owner, open, 0 AS real_open FROM schedule_quota
    UNION ALL
    SELECT tenant, owner, 0, count(*) FROM schedule WHERE state IN ('active', 'paused') GROUP BY tenant, owner)
GROUP BY tenant, owner HAVING sum(open) <> sum(real_open)
