-- Approvals, and the ledger of tool calls.

-- `held_by` is the life of a host that keeps the runner of an answered run in memory until it has a slot.
ALTER TABLE run ADD COLUMN held_by INTEGER;

-- A question to a person. `arguments` and `digest` are what will be called: a decision may edit them.
CREATE TABLE approval (
    no           INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    session_no   INTEGER NOT NULL,
    tenant       TEXT NOT NULL,
    owner        TEXT NOT NULL,
    run_id       TEXT NOT NULL,
    call_id      TEXT NOT NULL,
    tool         TEXT NOT NULL,
    arguments    TEXT NOT NULL,
    digest       TEXT NOT NULL,
    reason       TEXT,
    done         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'granted', 'denied', 'expired', 'withdrawn')),
    requested_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    resolved_at  INTEGER,
    decided_by   TEXT,
    note         TEXT,
    remember     TEXT,
    CHECK ((resolved_at IS NULL) = (state = 'pending')),
    CHECK ((decided_by IS NULL) = (state = 'pending'))
) STRICT;
CREATE INDEX approval_session ON approval (session_no, no);
CREATE INDEX approval_call ON approval (call_id);
CREATE INDEX approval_run ON approval (run_id, no);
CREATE INDEX approval_asked ON approval (session_no) WHERE state = 'pending';
CREATE INDEX approval_due ON approval (expires_at) WHERE state = 'pending';
-- Lists show what is pending first, then the newest.
CREATE INDEX approval_rank ON approval ((no + (state = 'pending') * 1000000000000000));
CREATE INDEX approval_owner ON approval (tenant, owner, (no + (state = 'pending') * 1000000000000000));

-- One tool call of a run. It is known by tool, digest and count, or by the key that the agent gave it.
-- `attempt` is the last one that asked for it.
CREATE TABLE effect (
    no         INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    session_no INTEGER NOT NULL,
    run_id     TEXT NOT NULL,
    tool       TEXT NOT NULL,
    call_key   TEXT,
    digest     TEXT NOT NULL,
    nth        INTEGER NOT NULL,
    arguments  TEXT NOT NULL,
    replay     TEXT NOT NULL CHECK (replay IN ('safe', 'never', 'verify')),
    state      TEXT NOT NULL CHECK (state IN ('intended', 'dispatched', 'unknown', 'settled')),
    attempt    INTEGER NOT NULL,
    status     TEXT,
    result     TEXT,
    CHECK (state <> 'settled' OR status IN ('ok', 'error', 'denied')),
    CHECK (state <> 'unknown' OR status = 'unknown')
) STRICT;
CREATE UNIQUE INDEX effect_asked ON effect (run_id, tool, digest, nth) WHERE call_key IS NULL;
CREATE UNIQUE INDEX effect_keyed ON effect (run_id, tool, call_key) WHERE call_key IS NOT NULL;
CREATE INDEX effect_run ON effect (run_id, no);
CREATE INDEX effect_session ON effect (session_no);

-- A tool that a person allowed for one session and author, by which approval. The author is a JSON list: the
-- user, and the type and id of the event's actor if an event brought the message.
CREATE TABLE remembered (
    session_no  INTEGER NOT NULL,
    tool        TEXT NOT NULL,
    author      TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    PRIMARY KEY (session_no, tool, author)
) STRICT, WITHOUT ROWID;
