-- Browsers that are signed in, the links that sign them in, and shares of sessions. Only hashes of secrets are kept.
-- Each is worth something only while the key lives that it came from.

CREATE TABLE sign_in (
    no          INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL UNIQUE,
    key_no      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_key ON sign_in (key_no, no);
CREATE INDEX sign_in_expiry ON sign_in (expires_at);

CREATE TABLE sign_in_link (
    no          INTEGER PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    key_no      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT;
CREATE INDEX sign_in_link_key ON sign_in_link (key_no, no);
CREATE INDEX sign_in_link_expiry ON sign_in_link (expires_at);

CREATE TABLE share (
    no          INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL UNIQUE,
    session_no  INTEGER NOT NULL,
    key_no      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT;
CREATE INDEX share_session ON share (session_no, no);
CREATE INDEX share_expiry ON share (expires_at);
