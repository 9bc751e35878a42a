-- Agents that nobody here wrote: calls that they make by themselves, and what their runners find again.

-- An agent's own call is made by the agent; the host only asks a person and writes down what came of it. Its name
-- is the agent's word, so it is kept apart from the host's tools of the same name.
ALTER TABLE effect ADD COLUMN own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1));
ALTER TABLE approval ADD COLUMN own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1));
DROP INDEX effect_asked;
CREATE UNIQUE INDEX effect_asked ON effect (run_id, tool, own, digest, nth) WHERE call_key IS NULL;

-- What a runner left of a run, for itself, in its latest attempt that left anything. `asked` counts the calls whose outcome it knew by then.
CREATE TABLE checkpoint (
    no         INTEGER PRIMARY KEY,
    run_id     TEXT NOT NULL UNIQUE,
    session_no INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    asked      TEXT NOT NULL,
    data       BLOB NOT NULL
) STRICT;
CREATE INDEX checkpoint_session ON checkpoint (session_no, no);
