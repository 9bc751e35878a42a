-- The index of words: titles and messages that are finished. A title has its session's number, negative.

-- search_added: its words are in the index
UPDATE message SET sought = 1 WHERE no = :message_no

-- meta_drop: a fact about the store that holds no more
DELETE FROM meta WHERE name = :name
