-- name: append_events
-- Events at their places in the log; the row is repeated for a group.
INSERT INTO events (seq, tenant, kind, ref, at, payload) VALUES (?, ?, ?, ?, ?, ?);

-- name: record_learned
-- How decisions ended; folding again overwrites with the same. The row is repeated for a group.
INSERT OR REPLACE INTO learned (tenant, trace_id, seq, record) VALUES (?, ?, ?, ?);

-- name: erase_payload
-- A purge keeps the event's number and loses its content.
UPDATE events SET kind = 'purged', ref = '', payload = ? WHERE tenant = ? AND seq = ?;

-- name: last_seq
-- Where the log ends.
SELECT coalesce(max(seq), 0) FROM events;

-- name: moment
-- When an event was.
SELECT at FROM events WHERE seq = ?;

-- name: read_after
-- The next events of the log.
SELECT seq, payload FROM events WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: read_memory
-- Everything memory is made of, of all tenants.
SELECT seq, payload FROM events
WHERE kind IN ('capture', 'signature', 'episode_deleted') AND seq > ? ORDER BY seq LIMIT ?;

-- name: read_access
-- All operators' acts about tenants and keys.
SELECT seq, payload FROM events
WHERE kind IN ('tenant_set', 'key_issued', 'key_ends') AND seq > ? ORDER BY seq LIMIT ?;

-- name: about
-- All events of one kind about one thing of a tenant; `ref <> ''` lets SQLite use the index, which holds no others.
SELECT seq, payload FROM events WHERE tenant = ? AND ref = ? AND kind = ? AND ref <> '' ORDER BY seq;

-- name: checkpoints
-- The checkpoints and restores of a tenant.
SELECT seq, payload FROM events WHERE kind IN ('checkpoint', 'restored') AND tenant = ? ORDER BY seq;

-- name: learned
-- How one decision ended.
SELECT record FROM learned WHERE tenant = ? AND trace_id = ?;

-- name: all_learned
-- How every decision ended, up to a place in the log.
SELECT tenant, record FROM learned WHERE seq <= ? ORDER BY tenant, trace_id;
