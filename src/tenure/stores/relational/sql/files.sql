-- Files of sessions. Their rows are projected from the journal; the bytes lie elsewhere.

-- file_insert: the session has a new file
INSERT INTO file (session_no, id, name, media_type, size, sha256, sent_by, run_id, seq, created_at)
VALUES (:no, :id, :name, :media_type, :size, :sha256, :by, :run_id, :seq, :at)

-- file_delete: a file is gone
DELETE FROM file WHERE session_no = :no AND id = :id

-- file_room: how many files a session has, and of how many bytes
SELECT count(*), CAST(coalesce(sum(size), 0) AS bigint) FROM file WHERE session_no = :no

-- file_names: the names of a session's files
SELECT name FROM file WHERE session_no = :no

-- file_same: what a run made of the same bytes before
SELECT id, name FROM file
WHERE session_no = :no AND run_id = :run_id AND sha256 = :sha256 AND media_type = :media_type ORDER BY no

-- file_get: one file of a session, while the session is there
SELECT f.no, f.id, f.name, f.media_type, f.size, f.sha256, f.sent_by, f.run_id, f.created_at
FROM file f JOIN session s ON s.no = f.session_no
WHERE s.id = :session_id AND f.id = :id AND s.state <> 'deleted'

-- file_list: a page of the files of a session, oldest first
SELECT f.no, f.id, f.name, f.media_type, f.size, f.sha256, f.sent_by, f.run_id, f.created_at
FROM file f JOIN session s ON s.no = f.session_no
WHERE s.id = :session_id AND f.no > :after AND s.state <> 'deleted' ORDER BY f.no LIMIT :limit

-- file_refers: whether any file of a session has these bytes
SELECT 1 FROM file f JOIN session s ON s.no = f.session_no
WHERE s.id = :session_id AND f.sha256 = :sha256 AND s.state <> 'deleted' LIMIT 1

-- purge_files: free the files of a deleted session
DELETE FROM file WHERE session_no = :no

-- audit_files: every file of a session, as its row has it
SELECT id, name, media_type, size, sha256, sent_by, run_id FROM file WHERE session_no = :no ORDER BY no
