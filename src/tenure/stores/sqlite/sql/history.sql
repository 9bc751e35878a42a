-- What only SQLite says so. The other statements on the same things are shared.

-- message_undo: take messages off the transcript, or put them back
UPDATE message SET undone = :undone
WHERE session_no = :no AND undone <> :undone AND id IN (SELECT value FROM json_each(:message_ids))

-- compaction_undo: take summaries off, or put them back
UPDATE compaction SET undone = :undone
WHERE session_no = :no AND undone <> :undone AND run_id IN (SELECT value FROM json_each(:run_ids))

-- trace_of: what runs left, in order
SELECT what FROM trace
WHERE session_no = :no AND run_id IN (SELECT value FROM json_each(:run_ids)) GROUP BY what ORDER BY min(seq)
