-- The audit log: who did what to whom, and when. Written in the transaction that did it; nothing in it ever changes.

CREATE TABLE audit (
    no      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    tenant  TEXT NOT NULL,
    user    TEXT NOT NULL,
    key_id  TEXT NOT NULL,
    action  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant, no);
