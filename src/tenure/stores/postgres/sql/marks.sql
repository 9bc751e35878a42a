-- How writing ends: rows of the journal and the number of the transaction at its seat, in one statement.

-- act_end: what an act recorded and touched; no row if the seat isn't known any more
WITH marked AS (
    UPDATE mark SET no = :mark, at = now() WHERE seat = :seat AND no < :mark RETURNING seat
), written AS (
    INSERT INTO journal (strand, first_seq, last_seq, body)
    SELECT * FROM unnest(CAST(:strands AS bigint[]), CAST(:firsts AS bigint[]), CAST(:lasts AS bigint[]), CAST(:bodies AS bytea[]))
), moved AS (
    UPDATE head h SET seq = t.seq FROM unnest(CAST(:lasts AS bigint[]), CAST(:nos AS bigint[])) AS t (seq, no)
    WHERE h.session_no = t.no
), touched AS (
    UPDATE session s SET updated_at = greatest(s.updated_at, t.at), message_count = s.message_count + t.messages
    FROM unnest(CAST(:ats AS bigint[]), CAST(:counts AS bigint[]), CAST(:touched AS bigint[])) AS t (at, messages, no)
    WHERE s.no = t.no
)
SELECT seat FROM marked

-- mark_set: the same for an act that recorded nothing
UPDATE mark SET no = :mark, at = now() WHERE seat = :seat AND no < :mark RETURNING seat

-- mark_void: a transaction that isn't committed yet never will be
UPDATE mark SET no = :mark, void = true WHERE seat = :seat AND no < :mark

-- mark_told: whether a transaction is void, and which numbers its output got
SELECT void OR no <> :mark, seqs FROM mark WHERE seat = :seat

-- mark_expire: seats that nobody has used for a day
DELETE FROM mark WHERE at < now() - interval '1 day'

-- runs_fence: to which sessions the output of runs goes
SELECT r.id, s.no, s.id FROM run r JOIN session s ON s.no = r.session_no WHERE r.id = ANY (CAST(:run_ids AS text[]))

-- journal_append: output of live runs: numbers from the heads, fenced by the host's row, in one statement; 0 for
-- what its host may not write any more (a run that ended while its head was waited for is only seen to have ended
-- under FOR SHARE: a weaker lock is content with the row as the statement first saw it), and no row if the seat isn't known any more, or the transaction is void
WITH seated AS (
    SELECT seat FROM mark WHERE seat = :seat AND no < :mark FOR NO KEY UPDATE
), alive AS (
    SELECT incarnation FROM host WHERE incarnation = :incarnation FOR KEY SHARE
), batch AS (
    SELECT * FROM unnest(CAST(:run_ids AS text[]), CAST(:nos AS bigint[]), CAST(:counts AS bigint[]), CAST(:bodies AS bytea[]))
        WITH ORDINALITY AS b (run_id, no, entries, body, place)
), heads AS (
    SELECT session_no FROM head WHERE session_no = ANY (CAST(:nos AS bigint[]))
        AND EXISTS (SELECT 1 FROM seated) AND EXISTS (SELECT 1 FROM alive)
    ORDER BY session_no FOR NO KEY UPDATE
), held AS (
    SELECT b.* FROM heads JOIN batch b ON b.no = heads.session_no JOIN run r ON r.id = b.run_id
    WHERE r.session_no = b.no
        AND (r.owner = :incarnation AND r.state IN ('running', 'waiting', 'interrupting')
            OR r.held_by = :incarnation AND r.state = 'queued')
    FOR SHARE OF r
), moved AS (
    UPDATE head h SET seq = h.seq + held.entries FROM held WHERE h.session_no = held.no
    RETURNING held.place, h.strand, h.seq, held.entries, held.body
), written AS (
    INSERT INTO journal (strand, first_seq, last_seq, body) SELECT strand, seq - entries + 1, seq, body FROM moved
)
UPDATE mark SET no = :mark, at = now(), seqs = (
    SELECT array_agg(coalesce(moved.seq, 0) ORDER BY b.place) FROM batch b LEFT JOIN moved USING (place))
WHERE seat IN (SELECT seat FROM seated) RETURNING seqs
