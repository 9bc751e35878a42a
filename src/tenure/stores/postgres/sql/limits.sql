-- What only Postgres says so. The other statements on the same things are shared.

-- snapshot_grow: more of it was retired
INSERT INTO snapshot (strand, through, body) VALUES (:strand, :through, :more)
ON CONFLICT (strand) DO UPDATE SET through = excluded.through,
    body = CASE WHEN length(excluded.body) = 0 THEN snapshot.body WHEN length(snapshot.body) = 0 THEN excluded.body
        ELSE snapshot.body || '\x0a'::bytea || excluded.body END

-- journal_oldest: the oldest stored ranges, and when each was written
SELECT first_seq, last_seq, body, convert_from(substring(body FROM 8 FOR 27), 'UTF8') FROM journal
WHERE strand = :strand AND last_seq <= :limit ORDER BY last_seq

-- retirable: sessions that are long, and whose oldest stored entries are old
SELECT h.session_no FROM head h JOIN session s ON s.no = h.session_no
WHERE s.state <> 'deleted'
    AND h.seq - :most > coalesce((SELECT through FROM snapshot p WHERE p.strand = h.strand), 0)
    AND (SELECT convert_from(substring(body FROM 8 FOR 27), 'UTF8') FROM journal j WHERE j.strand = h.strand
        ORDER BY j.last_seq LIMIT 1) COLLATE "C" < :before
ORDER BY h.session_no

-- spent_of_days: book it on the days of their authors, in the order of their keys
INSERT INTO usage_day (tenant, "user", day, input_tokens, output_tokens, cost, unknown, records, tool_calls, runs)
SELECT r.tenant, r.author, t.day, sum(t.input_tokens), sum(t.output_tokens), sum(t.known_cost), sum(t.unknown),
    sum(t.records), sum(t.tool_calls), sum(t.runs)
FROM unnest(CAST(:run_ids AS text[]), CAST(:days AS text[]), CAST(:input_tokenss AS bigint[]),
    CAST(:output_tokenss AS bigint[]), CAST(:known_costs AS double precision[]), CAST(:unknowns AS bigint[]),
    CAST(:recordss AS bigint[]), CAST(:tool_callss AS bigint[]), CAST(:runss AS bigint[]))
    AS t (run_id, day, input_tokens, output_tokens, known_cost, unknown, records, tool_calls, runs)
JOIN run r ON r.id = t.run_id GROUP BY r.tenant, r.author, t.day ORDER BY r.tenant, r.author, t.day
ON CONFLICT (tenant, "user", day) DO UPDATE SET
    input_tokens = usage_day.input_tokens + excluded.input_tokens,
    output_tokens = usage_day.output_tokens + excluded.output_tokens, cost = usage_day.cost + excluded.cost,
    unknown = usage_day.unknown + excluded.unknown, records = usage_day.records + excluded.records,
    tool_calls = usage_day.tool_calls + excluded.tool_calls, runs = usage_day.runs + excluded.runs
