-- What only Postgres says so. The other statements on the same things are shared.

-- audit_received: incoming events whose message is gone although their session isn't
SELECT CAST(receipt AS json) ->> 'message_id' AS message_id FROM received r WHERE forget_at IS NULL AND NOT EXISTS
    (SELECT 1 FROM message m WHERE m.session_no = r.session_no AND m.id = CAST(r.receipt AS json) ->> 'message_id')
