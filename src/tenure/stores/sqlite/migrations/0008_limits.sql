-- Usage by user and day, budgets, full-text search, retention.

-- What runs spent. `unknown` counts the model calls whose cost nobody told, `records` all of them: a sum of
-- money is known only if there were some and none of them was unknown.
CREATE TABLE usage_day (
    tenant        TEXT NOT NULL,
    user          TEXT NOT NULL,
    day           TEXT NOT NULL,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost          REAL NOT NULL DEFAULT 0,
    unknown       INTEGER NOT NULL DEFAULT 0,
    records       INTEGER NOT NULL DEFAULT 0,
    tool_calls    INTEGER NOT NULL DEFAULT 0,
    runs          INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, user, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_day_latest ON usage_day (day, tenant, user);

ALTER TABLE run ADD COLUMN input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN output_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN cost REAL NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN tool_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN known_cost REAL NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN tool_calls INTEGER NOT NULL DEFAULT 0;
UPDATE session SET known_cost = coalesce(cost, 0);

-- Calls that are counted; one that is begun again after a restart is the same call.
CREATE TABLE spent_call (
    run_id  TEXT NOT NULL,
    call_id TEXT NOT NULL,
    PRIMARY KEY (run_id, call_id)
) STRICT, WITHOUT ROWID;

-- Titles and finished messages by their words. The row of a message has its number, that of a title the
-- session's, negative. `whose` is one word made of the tenant.
CREATE VIRTUAL TABLE search USING fts5 (whose, text, tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO search (rowid, whose, text)
SELECT -no, 't' || hex(tenant), searchable(title) FROM session
WHERE title IS NOT NULL AND state <> 'deleted';
-- The words of messages are put in afterwards, some at a time, so that nobody who speaks waits for it.
ALTER TABLE message ADD COLUMN sought INTEGER NOT NULL DEFAULT 0 CHECK (sought IN (0, 1));
CREATE INDEX message_unsought ON message (no) WHERE sought = 0 AND entered_seq IS NOT NULL AND state <> 'streaming';

-- How far the oldest entries of a strand were retired, and what they folded to.
CREATE TABLE snapshot (
    strand  INTEGER PRIMARY KEY,
    through INTEGER NOT NULL,
    body    BLOB NOT NULL
) STRICT;

-- Whose content an answer holds, so that it can be blanked when the session is deleted.
ALTER TABLE receipt ADD COLUMN session_no INTEGER;
CREATE INDEX receipt_session ON receipt (session_no) WHERE session_no IS NOT NULL;
