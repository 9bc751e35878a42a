-- What only SQLite says so. The other statements on the same things are shared.

-- schedule_next: when something wants to be looked at
SELECT min(wake_at) FROM schedule INDEXED BY schedule_due WHERE state = 'active'

-- read_due: schedules to be looked at, earliest first
SELECT s.*, ses.id AS session_id FROM schedule s INDEXED BY schedule_due LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.state = 'active' AND s.wake_at > :after AND s.wake_at <= :until ORDER BY s.wake_at LIMIT :limit

-- retry_next: when an occurrence is tried again
SELECT min(retry_at) FROM occurrence WHERE retry_at IS NOT NULL

-- read_retries: occurrences to be tried again, earliest first
SELECT id, attempts FROM occurrence WHERE retry_at IS NOT NULL AND retry_at <= :until ORDER BY retry_at LIMIT :limit

-- read_ground_of_schedule: whose schedule it is
SELECT s.id, s.tenant, s.owner, ses.owner, s.author ->> 'role' FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.id = :id AND (s.session_no IS NULL OR ses.state <> 'deleted')

-- read_own_schedules_in_state: the same in one state
SELECT s.*, ses.id AS session_id FROM schedule s INDEXED BY schedule_owner_state
LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.tenant = :tenant AND s.owner = :owner AND s.state = :state AND s.no < :before
    AND (:agent IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
UNION ALL
SELECT s.*, ses.id AS session_id FROM schedule s INDEXED BY schedule_session_owner
LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.tenant = :tenant AND s.session_owner = :owner AND s.state = :state AND s.no < :before
    AND (:agent IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
ORDER BY no DESC LIMIT :limit

-- schedule_quota_lock: how many schedules of a user may still fire; nobody else makes or ends one meanwhile
SELECT open FROM schedule_quota WHERE tenant = :tenant AND owner = :owner

-- schedule_row_by_no: what acts need to know of a schedule, by its internal number
SELECT no, id, tenant, owner, author, session_no, agent, name, kind, content, policy, cap, depth, state, next_at, version,
    runs, failures FROM schedule WHERE no = :no
