-- What only SQLite says so: what lists show of sessions besides their rows.

-- session_lasts: the newest run of each of these sessions, and what was said in it last
SELECT w.value AS no, r.id AS run_id, r.state AS run_state, r.reason, r.finished_at, m.role,
    substr(m.content, 1, :beginning) AS content
FROM json_each(:nos) w
LEFT JOIN run r ON r.no = (SELECT max(l.no) FROM run l WHERE l.session_no = w.value)
LEFT JOIN message m ON m.no = (SELECT l.no FROM message l WHERE l.session_no = w.value AND l.entered_seq > 0
    AND l.superseded = 0 AND l.undone = 0 AND l.state <> 'streaming' ORDER BY l.entered_seq DESC LIMIT 1)

-- session_hits: the newest message with these words of each of these sessions
SELECT m.session_no AS no, m.id, m.content FROM message m WHERE m.no IN (
    SELECT max(h.no) FROM search f JOIN message h ON h.no = f.rowid
    WHERE f.search MATCH :words AND f.rowid > 0 AND h.superseded = 0 AND h.undone = 0
        AND h.session_no IN (SELECT value FROM json_each(:nos))
    GROUP BY h.session_no)

-- session_facets: what the latest sessions within reach have in common, the commonest first
WITH reached AS (
    SELECT s.agent, s.owner, s.labels,
        CASE WHEN s.state = 'closed' THEN 'closed' WHEN r.id IS NULL THEN 'idle'
            WHEN r.state = 'waiting' THEN 'waiting' ELSE 'running' END AS status
    FROM session s LEFT JOIN run r ON r.session_no = s.no AND r.{run.live}
    WHERE s.state <> 'deleted' AND (:tenant IS NULL OR s.tenant = :tenant) AND (:owner IS NULL OR s.owner = :owner)
    ORDER BY s.no DESC LIMIT :latest),
had AS (
    SELECT 'agent' AS facet, '' AS name, agent AS value, count(*) AS had FROM reached GROUP BY agent
    UNION ALL SELECT 'owner', '', owner, count(*) FROM reached GROUP BY owner
    UNION ALL SELECT 'status', '', status, count(*) FROM reached GROUP BY status
    UNION ALL SELECT 'label', l.key, l.value, count(*) FROM reached, json_each(reached.labels) l GROUP BY l.key, l.value),
named AS (
    SELECT facet, name, row_number() OVER (PARTITION BY facet ORDER BY sum(had) DESC, name) AS rank
    FROM had GROUP BY facet, name),
ranked AS (
    SELECT h.*, n.rank AS name_rank,
        row_number() OVER (PARTITION BY h.facet, h.name ORDER BY h.had DESC, h.value) AS rank
    FROM had h JOIN named n ON n.facet = h.facet AND n.name = h.name)
SELECT facet, name, value, had FROM ranked WHERE rank <= :most AND name_rank <= :most ORDER BY facet, name_rank, rank
