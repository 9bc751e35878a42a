-- What only SQLite says so. The other statements on the same things are shared.

-- search_add: the words of a message
INSERT OR REPLACE INTO search (rowid, whose, text)
SELECT m.no, 't' || hex(s.tenant), searchable_content(m.content) FROM message m JOIN session s ON s.no = m.session_no
WHERE m.no = :message_no

-- search_untitle: a title that is replaced or gone
DELETE FROM search WHERE rowid = -:no

-- search_title: the title of a session
INSERT INTO search (rowid, whose, text)
SELECT -no, 't' || hex(tenant), searchable(title) FROM session WHERE no = :no AND title IS NOT NULL

-- search_purge: free the words of a deleted session
DELETE FROM search
WHERE rowid = -:no OR rowid IN (SELECT no FROM message WHERE session_no = :no AND entered_seq IS NOT NULL)

-- search_merge: rewrite a part of the index, so that nothing of what was freed is left in it
INSERT INTO search (search, rank) VALUES ('merge', :pages)

-- search_pending: messages that stand in a transcript and aren't in the index yet, the newest first
SELECT no FROM message WHERE sought = 0 AND entered_seq IS NOT NULL AND state <> 'streaming'
ORDER BY no DESC LIMIT :limit
