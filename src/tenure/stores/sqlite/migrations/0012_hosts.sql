-- Hosts say who they are and until when they hold; a life that is over leaves its number, and whether it left in
-- good order.

CREATE TABLE past_host (
    incarnation INTEGER PRIMARY KEY,
    drained     INTEGER NOT NULL CHECK (drained IN (0, 1))
) STRICT;
INSERT INTO past_host (incarnation, drained) SELECT incarnation, left_at IS NOT NULL FROM host;
DELETE FROM host;
ALTER TABLE host DROP COLUMN left_at;
ALTER TABLE host ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE host ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE host ADD COLUMN slots INTEGER NOT NULL DEFAULT 0;
ALTER TABLE host ADD COLUMN lease INTEGER NOT NULL DEFAULT 10000000;
ALTER TABLE host ADD COLUMN draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1));
ALTER TABLE host ADD COLUMN renewed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE host ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
