-- What only Postgres says so: what lists show of sessions besides their rows.

-- session_lasts: the newest run of each of these sessions, and what was said in it last
SELECT w.no, r.id AS run_id, r.state AS run_state, r.reason, r.finished_at, m.role,
    substr(m.content, 1, :beginning) AS content
FROM (SELECT CAST(value AS bigint) AS no FROM json_array_elements_text(CAST(:nos AS json))) AS w
LEFT JOIN LATERAL (SELECT l.id, l.state, l.reason, l.finished_at FROM run l
    WHERE l.session_no = w.no ORDER BY l.no DESC LIMIT 1) r ON true
LEFT JOIN LATERAL (SELECT l.role, l.content FROM message l WHERE l.session_no = w.no AND l.entered_seq > 0
    AND l.superseded = 0 AND l.undone = 0 AND l.state <> 'streaming' ORDER BY l.entered_seq DESC LIMIT 1) m ON true

-- session_hits: the newest message with these words of each of these sessions
SELECT m.session_no AS no, m.id, m.content FROM message m WHERE m.no IN (
    SELECT max(h.no) FROM search f JOIN message h ON h.no = f.doc
    WHERE f.words @@ CAST(CAST(:words AS text) AS tsquery) AND f.doc > 0 AND h.superseded = 0 AND h.undone = 0
        AND h.session_no IN (SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:nos AS json)))
    GROUP BY h.session_no)

-- session_facets: what the latest sessions within reach have in common, the commonest first
WITH reached AS (
    SELECT s.agent, s.owner, s.labels,
        CASE WHEN s.state = 'closed' THEN 'closed' WHEN r.id IS NULL THEN 'idle'
            WHEN r.state = 'waiting' THEN 'waiting' ELSE 'running' END AS status
    FROM session s LEFT JOIN run r ON r.session_no = s.no AND r.{run.live}
    WHERE s.state <> 'deleted' AND (CAST(:tenant AS text) IS NULL OR s.tenant = :tenant)
        AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
    ORDER BY s.no DESC LIMIT :latest),
had AS (
    SELECT 'agent' AS facet, '' AS name, agent AS value, count(*) AS had FROM reached GROUP BY agent
    UNION ALL SELECT 'owner', '', owner, count(*) FROM reached GROUP BY owner
    UNION ALL SELECT 'status', '', status, count(*) FROM reached GROUP BY status
    UNION ALL SELECT 'label', l.key, l.value, count(*) FROM reached, json_each_text(CAST(reached.labels AS json)) l
        GROUP BY l.key, l.value),
named AS (
    SELECT facet, name, row_number() OVER (PARTITION BY facet ORDER BY sum(had) DESC, name) AS rank
    FROM had GROUP BY facet, name),
ranked AS (
    SELECT h.*, n.rank AS name_rank,
        row_number() OVER (PARTITION BY h.facet, h.name ORDER BY h.had DESC, h.value) AS rank
    FROM had h JOIN named n ON n.facet = h.facet AND n.name = h.name)
SELECT facet, name, value, had FROM ranked WHERE rank <= :most AND name_rank <= :most ORDER BY facet, name_rank, rank
