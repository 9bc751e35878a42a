-- What runs spent, by run, session, user and day; and what retention took away.

-- spent_call: a tool call is counted once, however often it is begun
INSERT OR IGNORE INTO spent_call (run_id, call_id) VALUES (:run_id, :call_id)

-- spent_of_run: book it on the run
UPDATE run SET input_tokens = input_tokens + :input_tokens, output_tokens = output_tokens + :output_tokens,
    cost = cost + :known_cost, tool_calls = tool_calls + :tool_calls
WHERE id = :run_id

-- spent_of_session: book it on the session; one unknown cost makes the sum unknown
UPDATE session SET
    cost = CASE WHEN :unknown > 0 OR cost IS NULL AND input_tokens + output_tokens > 0 THEN NULL
        WHEN :records > 0 THEN coalesce(cost, 0) + :known_cost ELSE cost END,
    input_tokens = input_tokens + :input_tokens, output_tokens = output_tokens + :output_tokens,
    known_cost = known_cost + :known_cost, tool_calls = tool_calls + :tool_calls
WHERE no = :no

-- spent_of_day: book it on its author's day
INSERT INTO usage_day (tenant, user, day, input_tokens, output_tokens, cost, unknown, records, tool_calls, runs)
SELECT r.tenant, r.author, :day, :input_tokens, :output_tokens, :known_cost, :unknown, :records, :tool_calls, :runs
FROM run r WHERE r.id = :run_id
ON CONFLICT (tenant, user, day) DO UPDATE SET
    input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
    cost = cost + excluded.cost, unknown = unknown + excluded.unknown, records = records + excluded.records,
    tool_calls = tool_calls + excluded.tool_calls, runs = runs + excluded.runs

-- spent_call_known: whether a call is counted already
SELECT 1 FROM spent_call WHERE run_id = :run_id AND call_id = :call_id

-- spent_by_run: what one run spent
SELECT input_tokens, output_tokens, cost, tool_calls FROM run WHERE id = :run_id

-- spent_by_session: what all runs of its session spent
SELECT s.input_tokens, s.output_tokens, s.known_cost, s.tool_calls
FROM session s JOIN run r ON r.session_no = s.no WHERE r.id = :run_id

-- spent_by_day: what all runs of its author spent on a day
SELECT d.input_tokens, d.output_tokens, d.cost, d.tool_calls
FROM run r JOIN usage_day d ON d.tenant = r.tenant AND d.user = r.author AND d.day = :day WHERE r.id = :run_id

-- purge_spent: free what belongs to the runs of a deleted session; the sums of its users' days stay
DELETE FROM spent_call WHERE run_id IN (SELECT id FROM run WHERE session_no = :no)

-- usage_days: a page of days, the latest first
SELECT day, tenant, user, input_tokens, output_tokens, cost, unknown, records, tool_calls, runs FROM usage_day
WHERE (:tenant IS NULL OR tenant = :tenant) AND (:user IS NULL OR user = :user)
    AND (:since IS NULL OR day >= :since) AND (:until IS NULL OR day <= :until)
    AND (:day IS NULL OR day < :day OR day = :day AND (tenant, user) > (:after_tenant, :after_user))
ORDER BY day DESC, tenant, user LIMIT :limit

-- receipt_blank: an answer keeps its key and its digest, but nothing of a deleted session's content
UPDATE receipt SET answer = CAST(json_replace(CAST(answer AS TEXT), '$.title', NULL, '$.labels', json('{}'),
    '$.conversation', NULL, '$.arguments', json('{}'), '$.note', NULL, '$.name', '', '$.message', '', '$.kept', json('[]')) AS BLOB)
WHERE session_no = :no

-- snapshot_get: up to where a strand is retired, and what is kept of it
SELECT through, body FROM snapshot WHERE strand = :strand

-- snapshot_grow: more of it was retired
INSERT INTO snapshot (strand, through, body) VALUES (:strand, :through, :more)
ON CONFLICT (strand) DO UPDATE SET through = excluded.through,
    body = CAST(CASE WHEN length(excluded.body) = 0 THEN body WHEN length(body) = 0 THEN excluded.body
        ELSE body || x'0a' || excluded.body END AS BLOB)

-- snapshot_purge: of a deleted session nothing is kept, unless a fork begins with it
DELETE FROM snapshot WHERE strand = :no AND NOT EXISTS (SELECT 1 FROM strand WHERE strand = :no)

-- journal_oldest: the oldest stored ranges, and when each was written
SELECT first_seq, last_seq, body, CAST(substr(body, 8, 27) AS TEXT) FROM journal
WHERE strand = :strand AND last_seq <= :limit ORDER BY last_seq

-- journal_retire: they go
DELETE FROM journal WHERE strand = :strand AND last_seq <= :through

-- message_since: since when a message stands in the journal
SELECT coalesce(entered_seq, admitted_seq) FROM message WHERE session_no = :no AND id = :id

-- strand_readers: the living sessions that begin with a strand, their heads, and up to where they read it
SELECT h.seq, s.through FROM strand s JOIN head h ON h.session_no = s.session_no
JOIN session o ON o.no = s.session_no WHERE s.strand = :strand AND o.state <> 'deleted'

-- retirable: sessions that are long, and whose oldest stored entries are old
SELECT h.session_no FROM head h JOIN session s ON s.no = h.session_no
WHERE s.state <> 'deleted'
    AND h.seq - :most > coalesce((SELECT through FROM snapshot p WHERE p.strand = h.strand), 0)
    AND (SELECT CAST(substr(body, 8, 27) AS TEXT) FROM journal j WHERE j.strand = h.strand
        ORDER BY j.last_seq LIMIT 1) < :before
ORDER BY h.session_no

-- spent_question: what a person was asked about the budget of a run
SELECT arguments FROM effect WHERE run_id = :run_id AND tool = :tool LIMIT 1
