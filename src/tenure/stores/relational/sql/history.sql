-- Undo, redo, compaction and forks: what was taken off, what stands for what, and who shares whose journal.

-- history_lines: what stands in a transcript, newest first, as far as turns are concerned
SELECT id, run_id, role, entered_seq FROM message
WHERE session_no = :no AND entered_seq > 0 AND superseded = 0 AND undone = 0 ORDER BY entered_seq DESC

-- history_line: whether a message stands in the transcript
SELECT 1 FROM message
WHERE session_no = :no AND id = :id AND entered_seq > 0 AND superseded = 0 AND undone = 0

-- compaction_insert: a summary stands for what was said up to a number
INSERT INTO compaction (session_no, seq, run_id, message_id, covers_through, summary)
VALUES (:no, :seq, :run_id, (SELECT message_id FROM run WHERE id = :run_id), :covers, :summary)

-- compactions_after: the compactions behind a number that stand
SELECT run_id FROM compaction WHERE session_no = :no AND seq > :seq AND undone = 0 ORDER BY seq

-- compaction_standing: the summary with which the transcript begins
SELECT run_id, message_id, covers_through, summary FROM compaction
WHERE session_no = :no AND undone = 0 ORDER BY seq DESC LIMIT 1

-- undo_insert: what was taken off can be put back
INSERT INTO undo (session_no, seq, run_ids, message_ids, last_run)
VALUES (:no, :seq, :run_ids, :message_ids, coalesce((SELECT max(no) FROM run WHERE session_no = :no), 0))

-- undo_drop: it was put back
DELETE FROM undo WHERE session_no = :no AND run_ids = :run_ids AND message_ids = :message_ids

-- undo_last: what was taken off last, and whether a run has started since
SELECT u.run_ids, u.message_ids,
    EXISTS (SELECT 1 FROM run r WHERE r.session_no = u.session_no AND r.no > u.last_run
        AND r.started_at IS NOT NULL) AS passed
FROM undo u WHERE u.session_no = :no ORDER BY u.seq DESC LIMIT 1

-- trace_insert: a run left something that an undo can't take back
INSERT INTO trace (session_no, seq, run_id, what, call_id) VALUES (:no, :seq, :run_id, :what, :call_id)

-- trace_drop: a tool call was denied, so nothing was left
DELETE FROM trace WHERE session_no = :no AND call_id = :call_id

-- obligation_get: what is to be done when the run ends
SELECT obligation FROM run WHERE id = :id

-- obligation_put: the run's end has something to do, or has done it
UPDATE run SET obligation = :obligation WHERE id = :id

-- message_undone: whether it was taken off the transcript
SELECT undone FROM message WHERE session_no = :no AND id = :id

-- fork_parent: what a fork takes over from its parent
SELECT agent, title, labels FROM session WHERE no = :no

-- fork_session: a new session that begins with the journal of another
INSERT INTO session (id, tenant, owner, agent, title, labels, conversation, state, created_at, updated_at, parent_no,
    message_count)
VALUES (:id, :tenant, :owner, :agent, :title, :labels, NULL, 'open', :at, :at, :parent_no, :message_count)
RETURNING no

-- fork_head: its numbers go on where the other's were left
INSERT INTO head (session_no, strand, seq, base) VALUES (:no, :no, :seq, :base)

-- fork_message: a message of the parent, as it stood there
INSERT INTO message (session_no, id, role, state, author, content, deadline_s, run_id, receipt, admitted_seq,
    entered_seq, superseded, undone, origin, version, joined)
SELECT :no, id, role, :state, author, :content, deadline_s, :run_id, receipt, admitted_seq,
    :entered_seq, :superseded, :undone, origin, version, :joined
FROM message WHERE session_no = :parent AND id = :id

-- fork_compaction: a summary of the parent
INSERT INTO compaction (session_no, seq, run_id, message_id, covers_through, summary, undone)
SELECT :no, seq, run_id, message_id, covers_through, summary, :undone
FROM compaction WHERE session_no = :parent AND seq = :seq

-- fork_traces: what the parent's runs had left by then
INSERT INTO trace (session_no, seq, run_id, what, call_id)
SELECT :no, seq, run_id, what, call_id FROM trace WHERE session_no = :parent AND seq <= :seq

-- strand_list: whose rows a session begins with, in order, each up to a number
SELECT strand, through FROM strand WHERE session_no = :no ORDER BY ordinal

-- strand_insert: a session begins with another's rows
INSERT INTO strand (session_no, ordinal, strand, through) VALUES (:no, :ordinal, :strand, :through)

-- strand_drop: a session doesn't need them any more
DELETE FROM strand WHERE session_no = :no

-- strand_needed: up to which number others still read a strand
SELECT max(through) FROM strand WHERE strand = :strand AND session_no <> :strand

-- strand_free: free what nobody reads of a strand
DELETE FROM journal WHERE pos IN
    (SELECT pos FROM journal WHERE strand = :strand AND first_seq > :needed LIMIT :limit)

-- strand_loosen: its own session is gone, but others read it
INSERT INTO loose_strand (strand) VALUES (:strand) ON CONFLICT (strand) DO NOTHING

-- strand_loose: a strand without a session that nobody reads any more
SELECT l.strand FROM loose_strand l WHERE NOT EXISTS (SELECT 1 FROM strand s WHERE s.strand = l.strand) LIMIT 1

-- strand_gone: it is free
DELETE FROM loose_strand WHERE strand = :strand

-- purge_undos: free what could be redone
DELETE FROM undo WHERE session_no = :no

-- purge_compactions: free the summaries
DELETE FROM compaction WHERE session_no = :no

-- purge_traces: free what runs left
DELETE FROM trace WHERE session_no = :no

-- fork_family: every fork of a session, and of its forks, that isn't deleted
WITH RECURSIVE family (no) AS (
    SELECT no FROM session WHERE parent_no = :no
    UNION SELECT s.no FROM session s JOIN family f ON s.parent_no = f.no
)
SELECT s.id, s.tenant, s.owner FROM session s JOIN family f ON f.no = s.no WHERE s.state <> 'deleted' ORDER BY s.no

-- journal_until: stored ranges of a strand between two numbers, oldest first
SELECT first_seq, last_seq, body FROM journal
WHERE strand = :strand AND last_seq > :after AND first_seq <= :through
    AND last_seq <= coalesce((SELECT min(n.last_seq) FROM journal n WHERE n.strand = :strand AND n.last_seq >= :through), :through)
ORDER BY last_seq

-- journal_back: stored ranges of a strand that begin at or before a number, newest first
SELECT first_seq, last_seq, body FROM journal WHERE strand = :strand AND first_seq <= :through
    AND last_seq <= coalesce((SELECT min(n.last_seq) FROM journal n WHERE n.strand = :strand AND n.last_seq >= :through), :through)
ORDER BY last_seq DESC

-- read_place: where a session's journal stands, and how much of it is shared
SELECT h.session_no, h.strand, h.seq, h.base FROM head h JOIN session s ON s.no = h.session_no
WHERE s.id = :id AND s.state <> 'deleted'

-- audit_compactions: every summary of a session
SELECT run_id, seq, covers_through, summary, undone FROM compaction WHERE session_no = :no ORDER BY seq

-- journal_copy: a range of the parent's becomes the fork's own
INSERT INTO journal (strand, first_seq, last_seq, body) VALUES (:strand, :first, :last, :body)

-- import_message: a message of a session from elsewhere, as it stood there
INSERT INTO message (session_no, id, role, state, author, content, run_id, receipt, admitted_seq, entered_seq,
    superseded, undone, joined)
VALUES (:no, :id, :role, :state, :author, :content, :run_id, :receipt, :admitted_seq, :entered_seq,
    :superseded, :undone, :joined)

-- import_compaction: a summary of a session from elsewhere
INSERT INTO compaction (session_no, seq, run_id, message_id, covers_through, summary, undone)
VALUES (:no, :seq, :run_id, :message_id, :covers, :summary, :undone)

-- import_file: a file of a session from elsewhere
INSERT INTO file (session_no, id, name, media_type, size, sha256, sent_by, run_id, seq, created_at)
VALUES (:no, :id, :name, :media_type, :size, :sha256, :by, :run_id, :seq, :at)
