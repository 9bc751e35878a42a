-- Files: what was sent with messages, and what agents made. The bytes lie in the session's folder.

CREATE TABLE file (
    no          INTEGER PRIMARY KEY,
    session_no  INTEGER NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    media_type  TEXT NOT NULL,
    size        INTEGER NOT NULL CHECK (size >= 0),
    sha256      TEXT NOT NULL,
    sent_by     TEXT,
    run_id      TEXT,
    seq         INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    CHECK (sent_by IS NOT NULL OR run_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX file_id ON file (session_no, id);
CREATE INDEX file_blob ON file (session_no, sha256);
