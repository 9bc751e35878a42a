-- What a live run was granted shrinks when a key of its author is revoked.

CREATE INDEX run_of_author ON run (tenant, author) WHERE state IN ('queued', 'running', 'waiting', 'interrupting');
