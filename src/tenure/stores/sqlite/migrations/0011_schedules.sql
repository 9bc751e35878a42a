-- Schedules, and what became of their occurrences.

-- `next_at` is the next nominal instant, `wake_at` when it is looked at: later by its jitter. A schedule that rests
-- keeps where it stood. `owner` made it, `session_owner` is whoever else owns the session that it is for;
-- `cap` is the grant of the run that made it, if one did. `trimmed` counts admitted occurrences without a row.
CREATE TABLE schedule (
    no          INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    tenant      TEXT NOT NULL,
    owner       TEXT NOT NULL,
    author      TEXT NOT NULL,
    session_no  INTEGER,
    session_owner TEXT,
    agent       TEXT NOT NULL,
    name        TEXT,
    kind        TEXT NOT NULL CHECK (kind IN ('task', 'reminder')),
    content     TEXT NOT NULL,
    timing      TEXT NOT NULL,
    policy      TEXT NOT NULL,
    explanation TEXT NOT NULL,
    cap         TEXT,
    depth       INTEGER NOT NULL DEFAULT 0,
    made_by     TEXT,
    state       TEXT NOT NULL CHECK (state IN ('active', 'paused', 'done', 'cancelled')),
    reason      TEXT,
    next_at     INTEGER,
    wake_at     INTEGER,
    version     INTEGER NOT NULL DEFAULT 1,
    runs        INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    unlisted    INTEGER NOT NULL DEFAULT 0,
    trimmed     INTEGER NOT NULL DEFAULT 0,
    paused_at   INTEGER,
    resumed_at  INTEGER,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    CHECK ((next_at IS NULL) = (wake_at IS NULL)),
    CHECK (state <> 'active' OR next_at IS NOT NULL),
    CHECK (state IN ('active', 'paused') OR next_at IS NULL)
) STRICT;
CREATE INDEX schedule_due ON schedule (wake_at) WHERE state = 'active';
CREATE INDEX schedule_owner ON schedule (tenant, owner, no);
CREATE INDEX schedule_owner_state ON schedule (tenant, owner, state, no);
CREATE INDEX schedule_session_owner ON schedule (tenant, session_owner, no) WHERE session_owner IS NOT NULL;
CREATE INDEX schedule_session ON schedule (session_no, no) WHERE session_no IS NOT NULL;
CREATE INDEX schedule_state ON schedule (state, no);

-- How many schedules of a user may still fire.
CREATE TABLE schedule_quota (
    tenant TEXT NOT NULL,
    owner  TEXT NOT NULL,
    open   INTEGER NOT NULL,
    PRIMARY KEY (tenant, owner)
) STRICT, WITHOUT ROWID;

-- One row per occurrence that was looked at. `session_no` and `message_id` are those of its newest message,
-- `outcome` is how that one's run ended; `retry_at` is when another is admitted in its place.
CREATE TABLE occurrence (
    no          INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    schedule_no INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    manual      INTEGER NOT NULL DEFAULT 0 CHECK (manual IN (0, 1)),
    state       TEXT NOT NULL CHECK (state IN ('due', 'admitted', 'skipped', 'missed')),
    reason      TEXT,
    session_no  INTEGER,
    session_id  TEXT,
    message_id  TEXT,
    run_id      TEXT,
    outcome     TEXT,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retry_at    INTEGER,
    seen_at     INTEGER NOT NULL,
    CHECK ((state = 'admitted') = (message_id IS NOT NULL)),
    CHECK (state = 'admitted' OR outcome IS NULL),
    CHECK (retry_at IS NULL OR outcome IS NOT NULL)
) STRICT;
CREATE INDEX occurrence_schedule ON occurrence (schedule_no, due_at, no);
CREATE INDEX occurrence_message ON occurrence (session_no, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX occurrence_retrying ON occurrence (schedule_no) WHERE retry_at IS NOT NULL;
CREATE INDEX occurrence_retry ON occurrence (retry_at) WHERE retry_at IS NOT NULL;
