-- The lives of hosts. Each has a number, which fences the ones before it. Instants are by the store's clock, in microseconds.

-- host_join: a new life of a host
INSERT INTO host (joined_at, name, version, slots, lease, renewed_at, expires_at)
VALUES (:now, :name, :version, :slots, :lease, :now, CAST(:now AS bigint) + CAST(:lease AS bigint))
RETURNING incarnation

-- host_past: a life is over
INSERT INTO past_host (incarnation, drained) VALUES (:incarnation, :drained)
ON CONFLICT (incarnation) DO NOTHING

-- host_renew: it holds for its time from now on
UPDATE host SET renewed_at = :now, expires_at = CAST(:now AS bigint) + lease, draining = :draining WHERE incarnation = :incarnation

-- host_end: nobody of that number can write any more
DELETE FROM host WHERE incarnation = :incarnation

-- hosts_others: every life but this one
SELECT incarnation FROM host WHERE incarnation <> :incarnation

-- hosts_expired: those that were not heard of in time, also where the clock was set back since
SELECT incarnation FROM host
WHERE (expires_at < :now OR renewed_at - lease > :now) AND incarnation <> :incarnation ORDER BY incarnation

-- host_expire: give one of them up, if it is still so
DELETE FROM host WHERE incarnation = :incarnation AND (expires_at < :now OR renewed_at - lease > :now)

-- read_hosts: every host that stands
SELECT h.incarnation, h.name, h.version, h.slots, h.draining, h.joined_at, h.renewed_at, h.expires_at,
    (SELECT count(*) FROM run r WHERE r.owner = h.incarnation AND r.state IN ('running', 'interrupting')) AS live_runs
FROM host h ORDER BY h.incarnation

-- run_orphans: live runs whose host is gone, and whether it left in good order
SELECT r.id, coalesce((SELECT drained FROM past_host p WHERE p.incarnation = r.owner), 0) FROM run r
WHERE r.owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM host h WHERE h.incarnation = r.owner) ORDER BY r.no

-- run_orphaned: the same of one run, if it is still so
SELECT r.id, coalesce((SELECT drained FROM past_host p WHERE p.incarnation = r.owner), 0) FROM run r
WHERE r.id = :id AND r.owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM host h WHERE h.incarnation = r.owner)
