-- What runners keep for themselves.

-- checkpoint_put: what a run leaves, in place of what it left before
INSERT INTO checkpoint (run_id, session_no, attempt, asked, data) VALUES (:run_id, :no, :attempt, :asked, :data)
ON CONFLICT (run_id) DO UPDATE SET attempt = excluded.attempt, asked = excluded.asked, data = excluded.data

-- checkpoint_asked: which calls a run's checkpoint knows the outcome of
SELECT asked FROM checkpoint WHERE run_id = :run_id

-- checkpoint_stands: whether an attempt of a run left anything
SELECT 1 FROM checkpoint WHERE run_id = :run_id AND attempt = :attempt

-- read_checkpoint: what a run left, if the session has it or began with it
SELECT c.data FROM session s JOIN checkpoint c ON c.run_id = :run_id
WHERE s.id = :session_id AND s.state <> 'deleted'
    AND (c.session_no = s.no OR c.session_no IN (SELECT strand FROM strand WHERE session_no = s.no))

-- read_latest_checkpoint: what the newest run of a session left
SELECT c.run_id, c.data FROM session s JOIN checkpoint c ON c.session_no = s.no
WHERE s.id = :session_id AND s.state <> 'deleted' ORDER BY c.no DESC LIMIT 1

-- purge_checkpoints: free what its runners kept
DELETE FROM checkpoint WHERE session_no = :no

-- effects_known: a run goes on after an answer, and its runner knows what was asked for and what was settled
UPDATE effect SET attempt = :attempt WHERE run_id = :run_id AND state IN ('intended', 'settled')
