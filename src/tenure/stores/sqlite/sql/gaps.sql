-- What only SQLite says so: what a host reads of many sessions at once.

-- gap_heads: where these sessions stand
SELECT s.id, h.seq FROM json_each(:ids) w
JOIN session s ON s.id = w.value JOIN head h ON h.session_no = s.no

-- gap_ranges: what these sessions have after a cursor each; one row without a range where there is nothing
SELECT s.id, h.seq, j.first_seq, j.last_seq, j.body FROM json_each(:cursors) w
JOIN session s ON s.id = w.key JOIN head h ON h.session_no = s.no
LEFT JOIN journal j ON j.pos IN (
    SELECT pos FROM journal WHERE strand = h.strand AND last_seq > w.value ORDER BY last_seq LIMIT :limit)
ORDER BY s.id, j.last_seq
