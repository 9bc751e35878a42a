-- What only Postgres says so. The other statements on the same things are shared.

-- schedule_next: when something of these agents wants to be looked at
SELECT min(wake_at) FROM schedule WHERE state = 'active' AND agent = ANY(CAST(:agents AS text[]))

-- read_due: schedules of these agents to be looked at, earliest first
SELECT s.*, ses.id AS session_id FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.state = 'active' AND s.wake_at > :after AND s.wake_at <= :until AND s.agent = ANY(CAST(:agents AS text[]))
ORDER BY s.wake_at LIMIT :limit

-- retry_next: when an occurrence of these agents is tried again
SELECT min(o.retry_at) FROM occurrence o JOIN schedule s ON s.no = o.schedule_no
WHERE o.retry_at IS NOT NULL AND s.agent = ANY(CAST(:agents AS text[]))

-- read_retries: occurrences of these agents to be tried again, earliest first
SELECT o.id, o.attempts FROM occurrence o JOIN schedule s ON s.no = o.schedule_no
WHERE o.retry_at IS NOT NULL AND o.retry_at <= :until AND s.agent = ANY(CAST(:agents AS text[]))
ORDER BY o.retry_at LIMIT :limit

-- read_ground_of_schedule: whose schedule it is
SELECT s.id, s.tenant, s.owner, ses.owner, CAST(s.author AS json) ->> 'role' FROM schedule s LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.id = :id AND (s.session_no IS NULL OR ses.state <> 'deleted')

-- read_own_schedules_in_state: the same in one state
SELECT s.*, ses.id AS session_id FROM schedule s
LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.tenant = :tenant AND s.owner = :owner AND s.state = :state AND s.no < :before
    AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
UNION ALL
SELECT s.*, ses.id AS session_id FROM schedule s
LEFT JOIN session ses ON ses.no = s.session_no
WHERE s.tenant = :tenant AND s.session_owner = :owner AND s.state = :state AND s.no < :before
    AND (CAST(:agent AS text) IS NULL OR s.agent = :agent)
    AND (s.session_no IS NULL OR ses.state <> 'deleted')
ORDER BY no DESC LIMIT :limit

-- schedule_quota_lock: how many schedules of a user may still fire; nobody else makes or ends one meanwhile
INSERT INTO schedule_quota (tenant, owner, open) VALUES (:tenant, :owner, 0)
ON CONFLICT (tenant, owner) DO UPDATE SET open = schedule_quota.open RETURNING open

-- schedule_quota_moved: so many more, or less
INSERT INTO schedule_quota (tenant, owner, open) VALUES (:tenant, :owner, greatest(:open, 0))
ON CONFLICT (tenant, owner) DO UPDATE SET open = schedule_quota.open + :open

-- schedule_row_by_no: what acts need to know of a schedule, by its internal number; nobody else changes it meanwhile
SELECT no, id, tenant, owner, author, session_no, agent, name, kind, content, policy, cap, depth, state, next_at, version,
    runs, failures FROM schedule WHERE no = :no FOR NO KEY UPDATE
