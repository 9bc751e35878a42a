-- What a message carries besides its text: the outside event it was made of, the run it steers, the message
-- it joined, the run it takes back, and how often it was edited. A turn that was undone keeps its rows.

ALTER TABLE message ADD COLUMN origin TEXT NOT NULL DEFAULT '{}';
ALTER TABLE message ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE message ADD COLUMN first_content TEXT;
ALTER TABLE message ADD COLUMN joined TEXT;
ALTER TABLE message ADD COLUMN undo_run TEXT;
ALTER TABLE message ADD COLUMN taken_attempt INTEGER;
ALTER TABLE message ADD COLUMN undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1));
CREATE INDEX message_steering ON message (session_no, place) WHERE state = 'steered';
CREATE INDEX message_joined ON message (session_no, joined) WHERE joined IS NOT NULL;
