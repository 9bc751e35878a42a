-- What acts lock before they look at anything: receipts, then hosts, then heads in order (SEMANTICS 2).

-- lock_receipt: nobody else answers the same request meanwhile
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), CAST(:tenant AS text), CAST(:user AS text), CAST(:key AS text)), 7))

-- lock_work: nobody else does the same work for the whole store meanwhile
SELECT pg_advisory_xact_lock(hashtextextended(CAST(:what AS text), 9))

-- lock_spending: no other call of the same person is judged by what is left of a day's budget meanwhile
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), CAST(:tenant AS text), CAST(:author AS text)), 10))

-- lock_host: this life of the host can't be given up meanwhile
SELECT incarnation FROM host WHERE incarnation = :incarnation FOR KEY SHARE

-- lock_session: the session
SELECT h.session_no, h.strand, h.seq FROM head h JOIN session s ON s.no = h.session_no WHERE s.id = :id
FOR NO KEY UPDATE OF h

-- lock_family: the session and all its forks
SELECT h.session_no, h.strand, h.seq FROM head h WHERE h.session_no IN (
    WITH RECURSIVE family (no) AS (
        SELECT no FROM session WHERE id = :id
        UNION SELECT s.no FROM session s JOIN family f ON s.parent_no = f.no)
    SELECT no FROM family)
ORDER BY h.session_no FOR NO KEY UPDATE OF h

-- lock_session_of_run: the session of a run
SELECT h.session_no, h.strand, h.seq FROM head h JOIN run r ON r.session_no = h.session_no WHERE r.id = :id
FOR NO KEY UPDATE OF h

-- lock_session_of_approval: the session of an approval
SELECT h.session_no, h.strand, h.seq FROM head h JOIN approval a ON a.session_no = h.session_no WHERE a.id = :id
FOR NO KEY UPDATE OF h

-- lock_session_of_schedule: the session that a schedule is for
SELECT h.session_no, h.strand, h.seq FROM head h JOIN schedule s ON s.session_no = h.session_no WHERE s.id = :id
FOR NO KEY UPDATE OF h

-- lock_schedule: the schedule
SELECT no FROM schedule WHERE id = :id FOR NO KEY UPDATE

-- lock_session_of_occurrence: the session that an occurrence went to, and the one that its schedule is for
SELECT h.session_no, h.strand, h.seq FROM head h WHERE h.session_no IN (
    SELECT session_no FROM occurrence WHERE id = :id
    UNION SELECT s.session_no FROM schedule s JOIN occurrence o ON o.schedule_no = s.no WHERE o.id = :id)
ORDER BY h.session_no FOR NO KEY UPDATE OF h

-- lock_occurrence: its schedule
SELECT s.no FROM schedule s JOIN occurrence o ON o.schedule_no = s.no WHERE o.id = :id FOR NO KEY UPDATE OF s

-- lock_sessions_of_key: every session in which a run of the key's user is live
SELECT h.session_no, h.strand, h.seq FROM head h JOIN run r ON r.session_no = h.session_no
JOIN api_key k ON k.tenant = r.tenant AND k."user" = r.author
WHERE k.id = :id AND r.{run.live} ORDER BY h.session_no FOR NO KEY UPDATE OF h

-- lock_conversation: nobody else opens a session for it meanwhile
SELECT pg_advisory_xact_lock(hashtextextended(encode(:key, 'hex'), 8))

-- lock_session_of_conversation: the session that it has, if messages are welcome there
SELECT h.session_no, h.strand, h.seq FROM head h JOIN conversation c ON c.session_no = h.session_no WHERE c.key = :key
FOR NO KEY UPDATE OF h

-- lock_sessions_of_due: the sessions of approvals that nobody answered in time
SELECT h.session_no, h.strand, h.seq FROM head h WHERE h.session_no IN (
    SELECT session_no FROM approval WHERE state = 'pending' AND expires_at <= :at ORDER BY expires_at LIMIT :limit)
ORDER BY h.session_no FOR NO KEY UPDATE OF h

-- lock_session_no: the session, by its internal number
SELECT session_no, strand, seq FROM head WHERE session_no = :no FOR NO KEY UPDATE
