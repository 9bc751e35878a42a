-- What only Postgres says so. The other statements on the same things are shared.

-- state_place: where the state of an identity is kept; nobody else writes there meanwhile
SELECT no, floor, keys, bytes, last_session, last_seq FROM state_place WHERE digest = :digest FOR NO KEY UPDATE
