-- The bytes of files: blobs of sessions, which name bodies, which are made of parts.

-- file_inherit: a fork has the files that its parent had at that number, and their bytes with them
WITH given AS (
    SELECT f.*, parent.id AS parent_id, heir.id AS heir_id
    FROM file f JOIN session parent ON parent.no = f.session_no JOIN session heir ON heir.no = :heir_no
    WHERE f.session_no = :no AND f.seq <= :seq
), shared AS (
    INSERT INTO blob (session_id, sha256, body_id, holds, held_until)
    SELECT DISTINCT g.heir_id, b.sha256, b.body_id, 0, now()
    FROM given g JOIN blob b ON b.session_id = g.parent_id AND b.sha256 = g.sha256
    ON CONFLICT DO NOTHING
)
INSERT INTO file (session_no, id, name, media_type, size, sha256, sent_by, run_id, seq, created_at)
SELECT CAST(:heir_no AS bigint), id, name, media_type, size, sha256, sent_by, run_id, seq, created_at
FROM given ORDER BY no

-- body_begin: bytes begin to come
WITH begun AS (
    INSERT INTO body (size, held_until) VALUES (length(CAST(:part AS bytea)), now() + interval '1 hour') RETURNING id
), first AS (
    INSERT INTO body_part (body_id, no, part) SELECT id, 0, :part FROM begun
)
SELECT id FROM begun

-- body_take: more bytes come, unless nothing came for so long that the others were swept away
WITH held AS (
    UPDATE body SET size = size + length(CAST(:part AS bytea)), held_until = now() + interval '1 hour'
    WHERE id = :id RETURNING id
)
INSERT INTO body_part (body_id, no, part) SELECT id, :no, :part FROM held

-- body_drop: bytes that nobody wants
DELETE FROM body WHERE id = :id

-- body_part_get: some of a body's bytes; somebody who reads them slowly goes on holding them
WITH held AS (
    UPDATE body SET held_until = now() + interval '1 hour'
    WHERE CAST(:holds AS boolean) AND id = :id AND held_until < now() + interval '30 minutes'
)
SELECT part FROM body_part WHERE body_id = :id AND no = :no

-- body_free: free bytes that no session has and nobody holds
DELETE FROM body y WHERE id = ANY(CAST(:ids AS bigint[])) AND held_until <= now()
    AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.body_id = y.id)

-- body_sweep: free some of the bytes that no session has and nobody holds
DELETE FROM body y WHERE held_until <= now() AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.body_id = y.id)
    AND id IN (SELECT id FROM body f WHERE f.held_until <= now()
        AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.body_id = f.id) LIMIT :limit)

-- blob_keep: a session has these bytes, and holds them for an act that is to name them
WITH kept AS (
    INSERT INTO blob (session_id, sha256, body_id, holds, held_until)
    SELECT id, :sha256, :body_id, 1, now() + interval '1 hour' FROM session WHERE id = :session_id AND state <> 'deleted'
    ON CONFLICT (session_id, sha256) DO UPDATE SET held_until = excluded.held_until,
        holds = CASE WHEN blob.held_until < now() THEN 1 ELSE blob.holds + 1 END
    RETURNING body_id
), named AS (
    UPDATE body SET held_until = now() FROM kept WHERE id = :body_id AND kept.body_id = id
)
SELECT body_id FROM kept

-- blob_let_go: an act that was to name the bytes is over
UPDATE blob SET holds = holds - 1 WHERE session_id = :session_id AND sha256 = :sha256 AND holds > 0

-- blob_get: a session's bytes: how many, and the first of them; somebody who reads on holds them
WITH found AS (
    SELECT y.id, y.size, p.part FROM blob b JOIN body y ON y.id = b.body_id JOIN body_part p ON p.body_id = y.id
    WHERE b.session_id = :session_id AND b.sha256 = :sha256 AND p.no = 0
), held AS (
    UPDATE body SET held_until = now() + interval '1 hour' FROM found
    WHERE CAST(:holds AS boolean) AND body.id = found.id AND length(found.part) < found.size
        AND held_until < now() + interval '30 minutes'
)
SELECT id, size, part FROM found

-- blob_lock: lock a session's bytes, unless an act is to name them
SELECT body_id FROM blob WHERE session_id = :session_id AND sha256 = :sha256 AND (holds = 0 OR held_until < now())
FOR UPDATE

-- blob_free: a session has these bytes no more, if none of its files does
DELETE FROM blob b WHERE session_id = :session_id AND sha256 = :sha256 AND NOT EXISTS (
    SELECT 1 FROM file f JOIN session s ON s.no = f.session_no
    WHERE s.id = b.session_id AND f.sha256 = b.sha256 AND s.state <> 'deleted')

-- blob_remove: a session has no bytes any more
DELETE FROM blob WHERE session_id = :session_id RETURNING body_id

-- blob_doubtful: the sessions with bytes that neither a file names nor an act is to name
SELECT DISTINCT b.session_id FROM blob b WHERE (b.holds = 0 OR b.held_until < now()) AND NOT EXISTS (
    SELECT 1 FROM file f JOIN session s ON s.no = f.session_no
    WHERE s.id = b.session_id AND f.sha256 = b.sha256 AND s.state <> 'deleted')

-- blob_doubtful_of: those of one session
SELECT b.sha256 FROM blob b WHERE b.session_id = :session_id AND (b.holds = 0 OR b.held_until < now())
    AND NOT EXISTS (SELECT 1 FROM file f JOIN session s ON s.no = f.session_no
        WHERE s.id = b.session_id AND f.sha256 = b.sha256 AND s.state <> 'deleted')
ORDER BY b.sha256
