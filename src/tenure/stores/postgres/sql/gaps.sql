-- What only Postgres says so: what a host reads of many sessions at once.

-- gap_heads: where these sessions stand
SELECT s.id, h.seq FROM json_array_elements_text(CAST(:ids AS json)) AS w (id)
JOIN session s ON s.id = w.id JOIN head h ON h.session_no = s.no

-- gap_ranges: what these sessions have after a cursor each; one row without a range where there is nothing
SELECT s.id, h.seq, j.first_seq, j.last_seq, j.body FROM json_each_text(CAST(:cursors AS json)) AS w (id, after)
JOIN session s ON s.id = w.id JOIN head h ON h.session_no = s.no
LEFT JOIN LATERAL (
    SELECT first_seq, last_seq, body FROM journal
    WHERE strand = h.strand AND last_seq > CAST(w.after AS bigint) ORDER BY last_seq LIMIT :limit
) j ON true
ORDER BY s.id, j.last_seq
