-- State that the host keeps for agents.

-- Whose state: the hash of an identity. `floor` is the highest version that a key which is gone has had, so
-- that no version is ever given twice; `keys` and `bytes` count what is kept. State of a session's own has its
-- number and goes with it.
-- The last change is noted by session and event, so that a fork knows whether there is anything to take back.
CREATE TABLE state_place (
    no           INTEGER PRIMARY KEY,
    digest       TEXT NOT NULL UNIQUE,
    scope        TEXT NOT NULL CHECK (scope IN ('conversation', 'actor', 'subject', 'runner')),
    session_no   INTEGER,
    floor        INTEGER NOT NULL DEFAULT 0,
    keys         INTEGER NOT NULL DEFAULT 0 CHECK (keys >= 0),
    bytes        INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    last_session INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    CHECK (session_no IS NULL OR scope = 'conversation')
) STRICT;
CREATE INDEX state_place_session ON state_place (session_no) WHERE session_no IS NOT NULL;

CREATE TABLE state_value (
    no         INTEGER PRIMARY KEY,
    place_no   INTEGER NOT NULL,
    key        TEXT NOT NULL,
    version    INTEGER NOT NULL CHECK (version > 0),
    expires_at INTEGER,
    size       INTEGER NOT NULL,
    value      TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX state_value_key ON state_value (place_no, key);
CREATE INDEX state_value_expiry ON state_value (expires_at) WHERE expires_at IS NOT NULL;

-- Who named the session's conversation without the right to speak for a platform: its state is theirs alone.
-- Of sessions that are there already nobody knows with which right they named one.
ALTER TABLE session ADD COLUMN claimant TEXT;
UPDATE session SET claimant = owner WHERE conversation IS NOT NULL;
