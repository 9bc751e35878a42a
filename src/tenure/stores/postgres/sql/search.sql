-- The index of words: titles and messages that are finished. A title has its session's number, negative.

-- search_pending: messages that stand in a transcript and aren't in the index yet, the newest first. One that an
-- act is at is left for the next time, so that neither waits for the other.
SELECT no FROM message WHERE sought = 0 AND entered_seq IS NOT NULL AND state <> 'streaming'
ORDER BY no DESC LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED

-- search_behind: whether any message isn't in the index yet, as far as that is committed
SELECT 1 FROM message WHERE sought = 0 AND entered_seq IS NOT NULL AND state <> 'streaming' LIMIT 1

-- search_text: what a message says, and whose it is
SELECT s.tenant, m.content FROM message m JOIN session s ON s.no = m.session_no WHERE m.no = :message_no

-- search_words: the title of a session, and whose it is
SELECT tenant, title FROM session WHERE no = :no AND title IS NOT NULL

-- search_add: the words of a message or a title
INSERT INTO search (doc, words) VALUES (:doc, CAST(CAST(:words AS text) AS tsvector))
ON CONFLICT (doc) DO UPDATE SET words = excluded.words

-- search_untitle: a title that is replaced or gone
DELETE FROM search WHERE doc = -CAST(:no AS bigint)

-- search_purge: free some words of a deleted session
DELETE FROM search WHERE doc IN (
    SELECT -CAST(:no AS bigint)
    UNION ALL (SELECT f.doc FROM message m JOIN search f ON f.doc = m.no
        WHERE m.session_no = :no AND m.entered_seq IS NOT NULL LIMIT :limit))
