-- Incoming events: each counts once, and belongs to the session of its conversation. Both are found by the
-- SHA-256 of their identity, whose first part is the tenant. An event outlives its session by two days.

CREATE TABLE conversation (
    key        BLOB PRIMARY KEY,
    session_no INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_session ON conversation (session_no);

CREATE TABLE received (
    key        BLOB PRIMARY KEY,
    digest     TEXT NOT NULL,
    session_no INTEGER NOT NULL,
    receipt    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    forget_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX received_session ON received (session_no) WHERE forget_at IS NULL;
CREATE INDEX received_forget ON received (forget_at) WHERE forget_at IS NOT NULL;
