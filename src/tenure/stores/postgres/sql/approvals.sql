-- What only Postgres says so. The other statements on the same things are shared.

-- read_approvals: a page of approvals, those that are pending first, then the newest
SELECT a.no + CASE WHEN a.state = 'pending' THEN 1000000000000000 ELSE 0 END AS rank, a.id, s.id AS session_id, a.run_id, a.call_id, a.tool,
    a.arguments, a.digest, a.reason, a.done, a.state, a.requested_at, a.expires_at, a.resolved_at, a.decided_by,
    a.note, a.remember, a.own
FROM approval a JOIN session s ON s.no = a.session_no
WHERE a.no + CASE WHEN a.state = 'pending' THEN 1000000000000000 ELSE 0 END < :before AND s.state <> 'deleted'
    AND (CAST(:tenant AS text) IS NULL OR a.tenant = :tenant)
    AND (CAST(:state AS text) IS NULL OR a.state = :state)
    AND (CAST(:session_id AS text) IS NULL OR s.id = :session_id)
ORDER BY a.no + CASE WHEN a.state = 'pending' THEN 1000000000000000 ELSE 0 END DESC LIMIT :limit

-- read_own_approvals: the same of one owner
SELECT a.no + CASE WHEN a.state = 'pending' THEN 1000000000000000 ELSE 0 END AS rank, a.id, s.id AS session_id, a.run_id, a.call_id, a.tool,
    a.arguments, a.digest, a.reason, a.done, a.state, a.requested_at, a.expires_at, a.resolved_at, a.decided_by,
    a.note, a.remember, a.own
FROM approval a JOIN session s ON s.no = a.session_no
WHERE a.tenant = :tenant AND a.owner = :owner
    AND a.no + CASE WHEN a.state = 'pending' THEN 1000000000000000 ELSE 0 END < :before AND s.state <> 'deleted'
    AND (CAST(:state AS text) IS NULL OR a.state = :state)
    AND (CAST(:session_id AS text) IS NULL OR s.id = :session_id)
ORDER BY a.no + CASE WHEN a.state = 'pending' THEN 1000000000000000 ELSE 0 END DESC LIMIT :limit
