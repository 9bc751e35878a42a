-- What people look at before they read everything.

-- journal_left: the first number that is left of a strand behind another one
SELECT first_seq FROM journal WHERE strand = :strand AND last_seq > :after ORDER BY last_seq LIMIT 1

-- brief_after: stored ranges without those that are a single piece of something said, unless all are wanted; oldest first
SELECT first_seq, last_seq, body FROM journal
WHERE strand = :strand AND last_seq >= :low AND first_seq <= :high
    AND last_seq <= coalesce((SELECT min(n.last_seq) FROM journal n WHERE n.strand = :strand AND n.last_seq >= :high), :high)
    AND (:whole = 1 OR first_seq < last_seq
        OR substr(body, :at, :size) NOT IN (:spoken, :thought))
ORDER BY last_seq

-- brief_before: the same, newest first
SELECT first_seq, last_seq, body FROM journal
WHERE strand = :strand AND last_seq >= :low AND first_seq <= :high
    AND last_seq <= coalesce((SELECT min(n.last_seq) FROM journal n WHERE n.strand = :strand AND n.last_seq >= :high), :high)
    AND (:whole = 1 OR first_seq < last_seq
        OR substr(body, :at, :size) NOT IN (:spoken, :thought))
ORDER BY last_seq DESC

-- brief_openings: where messages of the agent began, with the piece where it is a range of its own
SELECT m.entered_seq, j.body FROM message m
LEFT JOIN journal j ON j.strand = :strand AND j.last_seq = m.entered_seq AND j.first_seq = j.last_seq
    AND substr(j.body, :at, :size) = :spoken
WHERE m.session_no = :no AND m.role = 'assistant' AND m.entered_seq BETWEEN :low AND :high

-- brief_unfinished: messages of the agent that may have no end in the journal: still being said, or cut off by a fork
SELECT id, entered_seq FROM message
WHERE session_no = :no AND state = 'streaming' AND entered_seq + 0 <= :high
UNION
SELECT id, entered_seq FROM message
WHERE session_no = :no AND role = 'assistant' AND state = 'partial' AND superseded = 0 AND entered_seq <= :high
    AND entered_seq >= coalesce((SELECT max(o.entered_seq) FROM message o
        WHERE o.session_no = :no AND o.role = 'assistant' AND o.entered_seq < :low), 0)

-- brief_live: the live run, and the number of its beginning if it has begun
SELECT r.id, m.entered_seq FROM run r LEFT JOIN message m ON m.session_no = r.session_no AND m.id = r.message_id
WHERE r.session_no = :no AND r.{run.live}

-- run_number_from: the run with the first number from here on, and when it was admitted
SELECT no, queued_at FROM run WHERE no >= :no ORDER BY no LIMIT 1

-- run_number_last: the number of the newest run
SELECT max(no) FROM run

-- runs_latest: a page of runs, newest first
SELECT r.no, r.id, s.id AS session_id, r.agent, r.state, r.reason, r.retryable, r.attempt, r.message_id,
    r.grant_json, r.grant_digest, r.usage, r.queued_at, r.started_at, r.finished_at,
    s.title AS session_title, s.owner AS session_owner
FROM run r JOIN session s ON s.no = r.session_no
WHERE s.state <> 'deleted'
    AND r.no >= :floor AND r.no < :before
    AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant)
    AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
    AND (CAST(:agent AS text) IS NULL OR r.agent = :agent)
    AND (CAST(:state AS text) IS NULL OR r.state = :state)
    AND (CAST(:since AS bigint) IS NULL OR r.queued_at >= CAST(:since AS bigint))
    AND (CAST(:live_since AS bigint) IS NULL
        OR r.{run.live} AND coalesce(r.started_at, r.queued_at) <= CAST(:live_since AS bigint))
ORDER BY r.no DESC LIMIT :limit

-- runs_live: the same of those that are live, which are few: their index finds them, not the order
SELECT r.no, r.id, s.id AS session_id, r.agent, r.state, r.reason, r.retryable, r.attempt, r.message_id,
    r.grant_json, r.grant_digest, r.usage, r.queued_at, r.started_at, r.finished_at,
    s.title AS session_title, s.owner AS session_owner
FROM (SELECT r.no AS latest FROM run r JOIN session s ON s.no = r.session_no
    WHERE r.{run.live} AND s.state <> 'deleted'
        AND r.no + 0 >= :floor AND r.no + 0 < :before
        AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant)
        AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
        AND (CAST(:agent AS text) IS NULL OR r.agent = :agent)
        AND (CAST(:state AS text) IS NULL OR r.state = :state)
        AND (CAST(:since AS bigint) IS NULL OR r.queued_at >= CAST(:since AS bigint))
        AND (CAST(:live_since AS bigint) IS NULL
                OR r.{run.live} AND coalesce(r.started_at, r.queued_at) <= CAST(:live_since AS bigint))
    ORDER BY r.no + 0 DESC LIMIT :limit) AS l
JOIN run r ON r.no = l.latest JOIN session s ON s.no = r.session_no ORDER BY l.latest DESC

-- runs_fault: the same of those that went wrong, by the index that has them in order
SELECT r.no, r.id, s.id AS session_id, r.agent, r.state, r.reason, r.retryable, r.attempt, r.message_id,
    r.grant_json, r.grant_digest, r.usage, r.queued_at, r.started_at, r.finished_at,
    s.title AS session_title, s.owner AS session_owner
FROM (SELECT r.no AS latest FROM run r JOIN session s ON s.no = r.session_no
    WHERE r.{run.fault} AND s.state <> 'deleted'
        AND r.no + 0 >= :floor AND r.no + 0 < :before
        AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant)
        AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
        AND (CAST(:agent AS text) IS NULL OR r.agent = :agent)
        AND (CAST(:state AS text) IS NULL OR r.state = :state)
        AND (CAST(:since AS bigint) IS NULL OR r.queued_at >= CAST(:since AS bigint))
        AND (CAST(:live_since AS bigint) IS NULL
                OR r.{run.live} AND coalesce(r.started_at, r.queued_at) <= CAST(:live_since AS bigint))
    ORDER BY r.no + 0 DESC LIMIT :limit) AS l
JOIN run r ON r.no = l.latest JOIN session s ON s.no = r.session_no ORDER BY l.latest DESC

-- runs_of_owner: the same of the sessions that one user owns
SELECT r.no, r.id, s.id AS session_id, r.agent, r.state, r.reason, r.retryable, r.attempt, r.message_id,
    r.grant_json, r.grant_digest, r.usage, r.queued_at, r.started_at, r.finished_at,
    s.title AS session_title, s.owner AS session_owner
FROM (SELECT r.no AS latest FROM session s JOIN run r ON r.session_no = s.no
    WHERE s.tenant = :tenant AND s.owner = :owner AND s.state <> 'deleted'
        AND r.no + 0 >= :floor AND r.no + 0 < :before
        AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant)
        AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
        AND (CAST(:agent AS text) IS NULL OR r.agent = :agent)
        AND (CAST(:state AS text) IS NULL OR r.state = :state)
        AND (CAST(:since AS bigint) IS NULL OR r.queued_at >= CAST(:since AS bigint))
        AND (CAST(:live_since AS bigint) IS NULL
                OR r.{run.live} AND coalesce(r.started_at, r.queued_at) <= CAST(:live_since AS bigint))
    ORDER BY r.no + 0 DESC LIMIT :limit) AS l
JOIN run r ON r.no = l.latest JOIN session s ON s.no = r.session_no ORDER BY l.latest DESC

-- run_faults: runs that went wrong in the same way, those that did so last first
SELECT g.agent, g.state, g.reason, g.had, g.latest_at, r.id AS run_id, s.id AS session_id
FROM (SELECT r.agent, r.state, r.reason, count(*) AS had, max(r.finished_at) AS latest_at, max(r.no) AS latest_no
    FROM run r JOIN session s ON s.no = r.session_no
    WHERE r.{run.fault} AND r.finished_at >= :since AND s.state <> 'deleted'
        AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant)
        AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
    GROUP BY r.agent, r.state, r.reason) AS g
JOIN run r ON r.no = g.latest_no JOIN session s ON s.no = r.session_no
ORDER BY g.latest_at DESC, g.latest_no DESC LIMIT :limit

-- outline_messages: what was said before a number, newest first, with the run that each message began
SELECT m.entered_seq, m.id, m.role, m.state, m.undone, m.origin, m.admitted_seq, r.id AS run_id, r.state AS run_state
FROM message m LEFT JOIN run r ON m.role = 'user' AND r.id = m.run_id AND r.message_id = m.id AND r.session_no = m.session_no
WHERE m.session_no = :no AND m.entered_seq > 0 AND m.entered_seq < :before AND m.superseded = 0
ORDER BY m.entered_seq DESC LIMIT :limit

-- outline_traces: what runs left before a number, newest first, with the approval that a call was asked for
SELECT t.seq, t.run_id, t.what, t.call_id, a.id AS approval_id, a.state AS approval_state
FROM trace t LEFT JOIN approval a ON a.call_id = t.call_id AND a.session_no = t.session_no
WHERE t.session_no = :no AND t.seq < :before
ORDER BY t.seq DESC LIMIT :limit

-- outline_compactions: where the older part of a transcript was replaced by a summary, newest first
SELECT seq, run_id, undone FROM compaction WHERE session_no = :no AND seq < :before ORDER BY seq DESC LIMIT :limit

-- outline_undos: where turns were taken off that can be put back, newest first
SELECT seq FROM undo WHERE session_no = :no AND seq < :before ORDER BY seq DESC LIMIT :limit

-- outline_parent: the session that a fork began with
SELECT p.id FROM session s LEFT JOIN session p ON p.no = s.parent_no AND p.state <> 'deleted' WHERE s.no = :no
