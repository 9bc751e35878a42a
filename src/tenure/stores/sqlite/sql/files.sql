-- What only SQLite says so: bytes lie on the disk, beside it.

-- file_inherit: a fork has the files that its parent had at that number
INSERT INTO file (session_no, id, name, media_type, size, sha256, sent_by, run_id, seq, created_at)
SELECT :heir_no, id, name, media_type, size, sha256, sent_by, run_id, seq, created_at FROM file
WHERE session_no = :no AND seq <= :seq ORDER BY no
