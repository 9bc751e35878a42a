-- What only Postgres says so. The other statements on the same things are shared.

-- message_undo: take messages off the transcript, or put them back
UPDATE message SET undone = :undone
WHERE session_no = :no AND undone <> :undone AND id IN (SELECT json_array_elements_text(CAST(:message_ids AS json)))

-- compaction_undo: take summaries off, or put them back
UPDATE compaction SET undone = :undone
WHERE session_no = :no AND undone <> :undone AND run_id IN (SELECT json_array_elements_text(CAST(:run_ids AS json)))

-- trace_of: what runs left, in order
SELECT what FROM trace
WHERE session_no = :no AND run_id IN (SELECT json_array_elements_text(CAST(:run_ids AS json))) GROUP BY what ORDER BY min(seq)
