-- Incoming events and the sessions of their conversations.

-- received_get: what an event was answered before
SELECT digest, receipt FROM received WHERE key = :key

-- received_put: an event was received
INSERT INTO received (key, digest, session_no, receipt, created_at) VALUES (:key, :digest, :no, :receipt, :at)

-- received_orphan: its session is gone; it is known for some time still, as it may be delivered again
UPDATE received SET forget_at = :at WHERE session_no = :no AND forget_at IS NULL

-- received_expire: forget events whose time is over
DELETE FROM received WHERE forget_at < :now

-- conversation_get: the session of a conversation, if messages are welcome there
SELECT s.id FROM conversation c JOIN session s ON s.no = c.session_no WHERE c.key = :key AND s.state = 'open'

-- conversation_put: its events go to this session from now on
INSERT INTO conversation (key, session_no) SELECT :key, no FROM session WHERE id = :id
ON CONFLICT (key) DO UPDATE SET session_no = excluded.session_no

-- conversation_purge: its session is gone
DELETE FROM conversation WHERE session_no = :no

-- audit_conversations: conversations that lead nowhere
SELECT session_no AS no FROM conversation c WHERE NOT EXISTS (SELECT 1 FROM session s WHERE s.no = c.session_no)
