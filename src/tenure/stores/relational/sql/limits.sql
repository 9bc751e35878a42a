-- What runs spent, by run, session, user and day; and what retention took away.

-- spent_call: a tool call is counted once, however often it is begun
INSERT INTO spent_call (run_id, call_id) VALUES (:run_id, :call_id) ON CONFLICT (run_id, call_id) DO NOTHING

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
INSERT INTO usage_day (tenant, "user", day, input_tokens, output_tokens, cost, unknown, records, tool_calls, runs)
SELECT r.tenant, r.author, :day, :input_tokens, :output_tokens, :known_cost, :unknown, :records, :tool_calls, :runs
FROM run r WHERE r.id = :run_id
ON CONFLICT (tenant, "user", day) DO UPDATE SET
    input_tokens = usage_day.input_tokens + excluded.input_tokens,
    output_tokens = usage_day.output_tokens + excluded.output_tokens, cost = usage_day.cost + excluded.cost,
    unknown = usage_day.unknown + excluded.unknown, records = usage_day.records + excluded.records,
    tool_calls = usage_day.tool_calls + excluded.tool_calls, runs = usage_day.runs + excluded.runs

-- spent_call_known: whether a call is counted already
SELECT 1 FROM spent_call WHERE run_id = :run_id AND call_id = :call_id

-- spent_by_run: what one run spent
SELECT input_tokens, output_tokens, cost, tool_calls FROM run WHERE id = :run_id

-- spent_by_session: what all runs of its session spent
SELECT s.input_tokens, s.output_tokens, s.known_cost, s.tool_calls
FROM session s JOIN run r ON r.session_no = s.no WHERE r.id = :run_id

-- spent_by_day: what all runs of its author spent on a day
SELECT d.input_tokens, d.output_tokens, d.cost, d.tool_calls
FROM run r JOIN usage_day d ON d.tenant = r.tenant AND d."user" = r.author AND d.day = :day WHERE r.id = :run_id

-- purge_spent: free some of what belongs to the runs of a deleted session; the sums of its users' days stay
DELETE FROM spent_call WHERE (run_id, call_id) IN (
    SELECT c.run_id, c.call_id FROM spent_call c JOIN run r ON r.id = c.run_id WHERE r.session_no = :no LIMIT :limit)

-- usage_days: a page of days, the latest first
SELECT day, tenant, "user", input_tokens, output_tokens, cost, unknown, records, tool_calls, runs FROM usage_day
WHERE (CAST(:tenant AS text) IS NULL OR tenant = :tenant) AND (CAST(:user AS text) IS NULL OR "user" = :user)
    AND (CAST(:since AS text) IS NULL OR day >= :since) AND (CAST(:until AS text) IS NULL OR day <= :until)
    AND (CAST(:day AS text) IS NULL OR day < :day OR day = :day AND (tenant, "user") > (:after_tenant, :after_user))
ORDER BY day DESC, tenant, "user" LIMIT :limit

-- snapshot_get: up to where a strand is retired, and what is kept of it
SELECT through, body FROM snapshot WHERE strand = :strand

-- snapshot_purge: of a deleted session nothing is kept, unless a fork begins with it
DELETE FROM snapshot WHERE strand = :no AND NOT EXISTS (SELECT 1 FROM strand WHERE strand = :no)

-- journal_retire: they go
DELETE FROM journal WHERE strand = :strand AND last_seq <= :through

-- message_since: since when a message stands in the journal
SELECT coalesce(entered_seq, admitted_seq) FROM message WHERE session_no = :no AND id = :id

-- strand_readers: the living sessions that begin with a strand, their heads, and up to where they read it
SELECT h.seq, s.through FROM strand s JOIN head h ON h.session_no = s.session_no
JOIN session o ON o.no = s.session_no WHERE s.strand = :strand AND o.state <> 'deleted'

-- spent_question: what a person was asked about the budget of a run
SELECT arguments FROM effect WHERE run_id = :run_id AND tool = :tool LIMIT 1

-- receipts_of_session: answers that hold a deleted session's content
SELECT tenant, "user", key, answer FROM receipt WHERE session_no = :no

-- receipt_rewrite: an answer keeps its key and its digest, but nothing of the content
UPDATE receipt SET answer = :answer WHERE tenant = :tenant AND "user" = :user AND key = :key
