-- What only SQLite says so. The other statements on the same things are shared.

-- snapshot_grow: more of it was retired
INSERT INTO snapshot (strand, through, body) VALUES (:strand, :through, :more)
ON CONFLICT (strand) DO UPDATE SET through = excluded.through,
    body = CAST(CASE WHEN length(excluded.body) = 0 THEN body WHEN length(body) = 0 THEN excluded.body
        ELSE body || x'0a' || excluded.body END AS BLOB)

-- journal_oldest: the oldest stored ranges, and when each was written
SELECT first_seq, last_seq, body, CAST(substr(body, 8, 27) AS TEXT) FROM journal
WHERE strand = :strand AND last_seq <= :limit ORDER BY last_seq

-- retirable: sessions that are long, and whose oldest stored entries are old
SELECT h.session_no FROM head h JOIN session s ON s.no = h.session_no
WHERE s.state <> 'deleted'
    AND h.seq - :most > coalesce((SELECT through FROM snapshot p WHERE p.strand = h.strand), 0)
    AND (SELECT CAST(substr(body, 8, 27) AS TEXT) FROM journal j WHERE j.strand = h.strand
        ORDER BY j.last_seq LIMIT 1) < :before
ORDER BY h.session_no
