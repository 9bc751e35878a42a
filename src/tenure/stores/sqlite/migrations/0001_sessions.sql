-- Sessions, their journals, messages, runs; keys, receipts, counters.
-- The CHECKs repeat the tables of tenure.core; a test compares them.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per life of a host. On SQLite the newest one is the only one that lives.
CREATE TABLE host (
    incarnation INTEGER PRIMARY KEY AUTOINCREMENT,
    joined_at   INTEGER NOT NULL,
    left_at     INTEGER
) STRICT;

CREATE TABLE api_key (
    no          INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL UNIQUE,
    tenant      TEXT NOT NULL,
    user        TEXT NOT NULL,
    role        TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'member', 'viewer')),
    name        TEXT NOT NULL,
    root        INTEGER NOT NULL CHECK (root IN (0, 1)),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER
) STRICT;
CREATE INDEX api_key_user ON api_key (tenant, user);

CREATE TABLE session (
    no            INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    tenant        TEXT NOT NULL,
    owner         TEXT NOT NULL,
    agent         TEXT NOT NULL,
    title         TEXT,
    labels        TEXT NOT NULL,
    conversation  TEXT,
    state         TEXT NOT NULL CHECK (state IN ('open', 'closed', 'deleted')),
    queue_held    INTEGER NOT NULL DEFAULT 0 CHECK (queue_held IN (0, 1)),
    message_count INTEGER NOT NULL DEFAULT 0,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost          REAL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX session_owner ON session (tenant, owner, no);
CREATE INDEX session_deleted ON session (no) WHERE state = 'deleted';

-- The mutex of a session, and the only place where its numbers come from.
CREATE TABLE head (
    session_no INTEGER PRIMARY KEY,
    strand     INTEGER NOT NULL,
    seq        INTEGER NOT NULL
) STRICT;

-- A row is a range of one session, written by one transaction. Append order, never clustered by session:
-- a busy commit then touches few pages however many sessions it serves.
CREATE TABLE journal (
    pos       INTEGER PRIMARY KEY,
    strand    INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    body      BLOB NOT NULL,
    CHECK (first_seq <= last_seq)
) STRICT;
CREATE UNIQUE INDEX journal_order ON journal (strand, last_seq);

CREATE TABLE message (
    no           INTEGER PRIMARY KEY,
    session_no   INTEGER NOT NULL,
    id           TEXT NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    state        TEXT NOT NULL,
    author       TEXT,
    content      TEXT NOT NULL,
    deadline_s   REAL,
    run_id       TEXT,
    place        INTEGER,
    receipt      TEXT,
    admitted_seq INTEGER,
    entered_seq  INTEGER,
    superseded   INTEGER NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1)),
    CHECK (role <> 'user' OR state IN ('queued', 'steered', 'started', 'consumed', 'merged', 'withdrawn', 'settled')),
    CHECK (role <> 'assistant' OR state IN ('streaming', 'completed', 'partial')),
    CHECK (role <> 'user' OR author IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX message_id ON message (session_no, id);
CREATE INDEX message_waiting ON message (session_no, place) WHERE state = 'queued';
CREATE INDEX message_transcript ON message (session_no, entered_seq) WHERE entered_seq IS NOT NULL;
CREATE INDEX message_streaming ON message (session_no) WHERE state = 'streaming';
CREATE INDEX message_unsettled ON message (session_no) WHERE state IN ('started', 'consumed', 'merged');

CREATE TABLE run (
    no           INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    session_no   INTEGER NOT NULL,
    tenant       TEXT NOT NULL,
    author       TEXT NOT NULL,
    agent        TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'interrupting', 'completed', 'failed', 'cancelled', 'timed_out', 'lost')),
    grant_json   TEXT NOT NULL,
    grant_digest TEXT NOT NULL,
    attempt      INTEGER NOT NULL DEFAULT 0,
    lapses       INTEGER NOT NULL DEFAULT 0,
    owner        INTEGER,
    by_deadline  INTEGER NOT NULL DEFAULT 0 CHECK (by_deadline IN (0, 1)),
    reason       TEXT NOT NULL DEFAULT '',
    retryable    INTEGER NOT NULL DEFAULT 0 CHECK (retryable IN (0, 1)),
    usage        TEXT NOT NULL DEFAULT '[]',
    queued_at    INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled', 'timed_out', 'lost'))),
    CHECK (owner IS NULL OR state IN ('running', 'waiting', 'interrupting')),
    CHECK (state NOT IN ('running', 'interrupting') OR owner IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX run_live ON run (session_no) WHERE state IN ('queued', 'running', 'waiting', 'interrupting');
CREATE INDEX run_session ON run (session_no, no);
CREATE INDEX run_queued ON run (tenant, author, no) WHERE state = 'queued';
CREATE INDEX run_owned ON run (owner) WHERE owner IS NOT NULL;

-- How many runs of each author hold a slot or wait for one, and since which turn the author waits.
-- The row ('', '') counts all, turns too.
CREATE TABLE slot (
    tenant TEXT NOT NULL,
    author TEXT NOT NULL,
    live   INTEGER NOT NULL CHECK (live >= 0),
    queued INTEGER NOT NULL CHECK (queued >= 0),
    since  INTEGER,
    PRIMARY KEY (tenant, author)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_waiting ON slot (live, since) WHERE queued > 0;

-- How many sessions each owner has open. The row ('', '') counts all.
CREATE TABLE quota (
    tenant TEXT NOT NULL,
    owner  TEXT NOT NULL,
    open   INTEGER NOT NULL CHECK (open >= 0),
    PRIMARY KEY (tenant, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipt (
    tenant     TEXT NOT NULL,
    user       TEXT NOT NULL,
    key        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    answer     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_age ON receipt (created_at);
