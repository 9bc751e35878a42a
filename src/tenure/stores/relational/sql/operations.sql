-- deed_insert: somebody did something
INSERT INTO audit (at, tenant, "user", key_id, action, kind, subject, detail)
VALUES (:at, :tenant, :by, :key_id, :action, :kind, :subject, :detail)

-- deed_page: a page of the audit log, the latest first
SELECT no, at, tenant, "user", key_id, action, kind, subject, detail FROM audit
WHERE no < :before
    AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
    AND (CAST(:action AS text) IS NULL OR action = :action)
    AND (CAST(:by AS text) IS NULL OR "user" = :by)
    AND at >= :since
ORDER BY no DESC LIMIT :limit

-- deed_expire: free entries that are too old, among the oldest
DELETE FROM audit
WHERE no IN (SELECT no FROM (SELECT no, at FROM audit ORDER BY no LIMIT :limit) AS oldest WHERE at < :before)

-- load_open: how many sessions are open
SELECT open FROM quota WHERE tenant = '' AND owner = ''

-- load_top: who has most sessions open, most runs at work, most schedules; and all three of each
SELECT name.tenant, name.who, coalesce(q.open, 0) AS open_sessions, coalesce(s.live, 0) AS live_runs,
    coalesce(s.queued, 0) AS queued_runs, coalesce(p.open, 0) AS schedules
FROM (
    SELECT tenant, who FROM (
        SELECT tenant, owner AS who FROM quota
        WHERE open > 0 AND owner <> '' AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
        ORDER BY open DESC, tenant, owner LIMIT :most
    ) AS openers
    UNION
    SELECT tenant, who FROM (
        SELECT tenant, author AS who FROM slot
        WHERE (live > 0 OR queued > 0) AND author <> '' AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
        ORDER BY live DESC, queued DESC, tenant, author LIMIT :most
    ) AS runners
    UNION
    SELECT tenant, who FROM (
        SELECT tenant, owner AS who FROM schedule_quota
        WHERE open > 0 AND owner <> '' AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
        ORDER BY open DESC, tenant, owner LIMIT :most
    ) AS planners
) AS name
LEFT JOIN quota q ON q.tenant = name.tenant AND q.owner = name.who
LEFT JOIN slot s ON s.tenant = name.tenant AND s.author = name.who
LEFT JOIN schedule_quota p ON p.tenant = name.tenant AND p.owner = name.who
ORDER BY live_runs DESC, queued_runs DESC, open_sessions DESC, schedules DESC, name.tenant, name.who

-- load_of: the same of one user
SELECT name.tenant, name.who, coalesce(q.open, 0) AS open_sessions, coalesce(s.live, 0) AS live_runs,
    coalesce(s.queued, 0) AS queued_runs, coalesce(p.open, 0) AS schedules
FROM (SELECT CAST(:tenant AS text) AS tenant, CAST(:user AS text) AS who) AS name
LEFT JOIN quota q ON q.tenant = name.tenant AND q.owner = name.who
LEFT JOIN slot s ON s.tenant = name.tenant AND s.author = name.who
LEFT JOIN schedule_quota p ON p.tenant = name.tenant AND p.owner = name.who
WHERE coalesce(q.open, 0) + coalesce(s.live, 0) + coalesce(s.queued, 0) + coalesce(p.open, 0) > 0

-- load_queue: the session in which most messages wait
SELECT s.id, s.tenant, count(*) AS waiting FROM message m JOIN session s ON s.no = m.session_no
WHERE m.state = 'queued' AND m.run_id IS NULL AND s.state <> 'deleted'
    AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant) AND (CAST(:user AS text) IS NULL OR s.owner = :user)
GROUP BY s.id, s.tenant ORDER BY waiting DESC, s.id LIMIT 1

-- user_page: a page of users, as keys, sessions and runs name them
SELECT name.tenant, name.who, coalesce(q.open, 0) AS open_sessions, coalesce(s.live, 0) AS live_runs
FROM (
    SELECT tenant, who FROM (
        SELECT DISTINCT tenant, "user" AS who FROM api_key
        WHERE (tenant, "user") > (:after_tenant, :after_user)
            AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
        ORDER BY tenant, "user" LIMIT :limit
    ) AS holders
    UNION
    SELECT tenant, who FROM (
        SELECT tenant, owner AS who FROM quota
        WHERE (tenant, owner) > (:after_tenant, :after_user) AND owner <> ''
            AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
        ORDER BY tenant, owner LIMIT :limit
    ) AS openers
) AS name
LEFT JOIN quota q ON q.tenant = name.tenant AND q.owner = name.who
LEFT JOIN slot s ON s.tenant = name.tenant AND s.author = name.who
ORDER BY name.tenant, name.who LIMIT :limit

-- user_keys: the roles of the living keys of all users from one to another
SELECT tenant, "user", role FROM api_key
WHERE (tenant, "user") >= (:first_tenant, :first_user) AND (tenant, "user") <= (:last_tenant, :last_user)
    AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :at)
ORDER BY tenant, "user"
