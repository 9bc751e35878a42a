-- What only Postgres needs to know of hosts.

-- clock: what time it is, by the one clock that all hosts share
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)
