-- Strands: a session shares its parent's journal; and what undo, redo and compaction keep.

-- A session's own rows have the strand of its number. Those up to `base` are of the strands listed here;
-- of a session that is no fork `base` is 0, and it has no rows here.
ALTER TABLE head ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN parent_no INTEGER;
CREATE INDEX session_parent ON session (parent_no) WHERE parent_no IS NOT NULL;

CREATE TABLE strand (
    session_no INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    strand     INTEGER NOT NULL,
    through    INTEGER NOT NULL,
    PRIMARY KEY (session_no, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX strand_shared ON strand (strand, through);

-- Strands whose own session is gone, kept for the forks that begin with them.
CREATE TABLE loose_strand (
    strand INTEGER PRIMARY KEY
) STRICT;

-- The undos that can still be redone, what each took off, and after which run: a later one ends that.
CREATE TABLE undo (
    session_no  INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    run_ids     TEXT NOT NULL,
    message_ids TEXT NOT NULL,
    last_run    INTEGER NOT NULL,
    PRIMARY KEY (session_no, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE compaction (
    session_no     INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    run_id         TEXT NOT NULL,
    message_id     TEXT NOT NULL,
    covers_through INTEGER NOT NULL,
    summary        TEXT NOT NULL,
    undone         INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1)),
    PRIMARY KEY (session_no, seq)
) STRICT, WITHOUT ROWID;

-- What runs left behind that an undo can't take back, in words.
CREATE TABLE trace (
    session_no INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    run_id     TEXT NOT NULL,
    what       TEXT NOT NULL,
    call_id    TEXT
) STRICT;
CREATE INDEX trace_run ON trace (session_no, run_id);

-- What is to be done when the run ends: a list of undos, as JSON.
ALTER TABLE run ADD COLUMN obligation TEXT;
