-- The messages of users: how they come in, wait, steer, are taken and settle.

-- message_insert: a message came in
INSERT INTO message (session_no, id, role, state, author, content, deadline_s, receipt, origin, run_id, joined,
    undo_run, place, admitted_seq)
VALUES (:no, :id, 'user', :state, :author, :content, :deadline_s, :receipt, :origin, :run_id, :joined,
    :undo_run, :place, :seq)

-- message_places: the first and the last place of those that wait, and the last of those that steer
SELECT (SELECT min(place) FROM message WHERE session_no = :no AND state = 'queued'),
    (SELECT max(place) FROM message WHERE session_no = :no AND state = 'queued'),
    (SELECT max(place) FROM message WHERE session_no = :no AND state = 'steered')

-- message_place: move one among those that wait
UPDATE message SET place = :place WHERE session_no = :no AND id = :id

-- message_waiting: the queue of a session, in order; a message whose run waits for a slot isn't in it
SELECT id, author, content, deadline_s, origin, undo_run FROM message
WHERE session_no = :no AND state = 'queued' AND run_id IS NULL ORDER BY place LIMIT :limit

-- message_steered: the messages that are to steer the live run, in order
SELECT id FROM message WHERE session_no = :no AND state = 'steered' ORDER BY place

-- message_offered: what a run's attempt may take: what earlier attempts took first, then what is new
SELECT id, author, content, state, origin FROM (
    SELECT id, author, content, state, origin, entered_seq, place FROM message
    WHERE session_no = :no AND run_id = :run_id AND state = 'steered'
    UNION ALL
    SELECT id, author, content, state, origin, entered_seq, place FROM message
    WHERE session_no = :no AND run_id = :run_id AND {message.settle} AND state = 'consumed'
        AND taken_attempt < :attempt)
ORDER BY state = 'steered', entered_seq, place LIMIT :limit

-- message_taken: which attempt took it
UPDATE message SET taken_attempt = :attempt WHERE session_no = :no AND id = :id

-- message_row: what acts need to know of one message
SELECT id, role, state, author, content, run_id, version, joined FROM message WHERE session_no = :no AND id = :id

-- message_joiners: the messages that joined one that waits
SELECT id FROM message WHERE session_no = :no AND joined = :id AND state = 'merged' ORDER BY no

-- admission_scene: the session with its live run and the length of its queue
SELECT s.no, s.id, s.tenant, s.owner, s.agent, s.state, s.queue_held, r.state, r.attempt, r.id,
    (SELECT count(*) FROM message m WHERE m.session_no = s.no AND m.state = 'queued' AND m.run_id IS NULL)
FROM session s LEFT JOIN run r ON r.session_no = s.no AND r.{run.live}
WHERE s.id = :id AND s.state <> 'deleted'

-- message_assign: its run waits for a slot
UPDATE message SET run_id = :run_id WHERE session_no = :no AND id = :id AND state = 'queued'

-- message_enter: a run took it; it stands in the transcript from here on
UPDATE message SET state = 'started', run_id = :run_id, entered_seq = :seq, place = NULL
WHERE session_no = :no AND id = :id AND {message.start}

-- message_join: so did those that joined it, again if it is tried again
UPDATE message SET run_id = :run_id WHERE session_no = :no AND joined = :id AND state IN ('merged', 'settled')

-- message_retry: another run takes it again
UPDATE message SET state = 'started', run_id = :run_id WHERE session_no = :no AND id = :id AND {message.retry}

-- message_edit: it says something else now
UPDATE message SET content = :content, version = version + 1, first_content = coalesce(first_content, content) WHERE session_no = :no AND id = :id

-- message_weaken: somebody changed it who may do less than its author
UPDATE message SET author = :author WHERE session_no = :no AND id = :id

-- message_steer: it is to steer the live run
UPDATE message SET state = 'steered', run_id = :run_id WHERE session_no = :no AND id = :id AND {message.steer}

-- message_requeue: it waits for a run of its own
UPDATE message SET state = 'queued', run_id = NULL WHERE session_no = :no AND id = :id AND state IN ('queued', 'steered')

-- message_take: the live run took it up
UPDATE message SET state = 'consumed', run_id = :run_id, entered_seq = :seq, place = NULL
WHERE session_no = :no AND id = :id AND {message.take}

-- message_withdraw: it will never run
UPDATE message SET state = 'withdrawn', place = NULL WHERE session_no = :no AND id = :id AND {message.withdraw}

-- message_first: what it said when it was admitted, if that changed
SELECT first_content FROM message WHERE session_no = :no AND id = :id AND first_content IS NOT NULL

-- message_again: what a run that is tried again starts with
SELECT author, content, deadline_s, origin FROM message WHERE session_no = :no AND id = :id

-- run_last: the latest run of a session
SELECT id FROM run WHERE session_no = :no ORDER BY no DESC LIMIT 1

-- read_steering: what an attempt of a run may take
SELECT id FROM (
    SELECT m.id, m.state, m.entered_seq, m.place FROM message m JOIN run r ON r.session_no = m.session_no
    WHERE r.id = :run_id AND m.run_id = r.id AND m.state = 'steered'
    UNION ALL
    SELECT m.id, m.state, m.entered_seq, m.place FROM message m JOIN run r ON r.session_no = m.session_no
    WHERE r.id = :run_id AND m.run_id = r.id AND m.{message.settle} AND m.state = 'consumed'
        AND m.taken_attempt < :attempt)
ORDER BY state = 'steered', entered_seq, place

-- left_open: whether a run that ends leaves calls open or approvals undecided, and words half said
SELECT EXISTS (SELECT 1 FROM approval WHERE run_id = :run_id AND state = 'pending')
    OR EXISTS (SELECT 1 FROM effect WHERE run_id = :run_id AND state IN ('intended', 'dispatched')),
    EXISTS (SELECT 1 FROM message WHERE session_no = :no AND state = 'streaming')

-- after_run: whether anything was to steer the run that ended, whether its end owes anything, whether a message takes it back, whether a schedule made it
SELECT EXISTS (SELECT 1 FROM message WHERE session_no = :no AND state = 'steered'),
    (SELECT obligation IS NOT NULL FROM run WHERE id = :run_id),
    EXISTS (SELECT 1 FROM message WHERE session_no = :no AND state = 'queued' AND undo_run = :run_id),
    EXISTS (SELECT 1 FROM occurrence WHERE session_no = :no AND message_id = :message_id)

-- runs_of_author: the live runs of a user
SELECT id FROM run WHERE tenant = :tenant AND author = :author AND {run.live} ORDER BY no

-- run_regrant: it may touch less from here on
UPDATE run SET grant_json = :grant_json, grant_digest = :grant_digest WHERE id = :id
