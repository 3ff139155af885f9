-- name: append_events
-- Events at their places in the log; the row is repeated for a group.
INSERT INTO events (seq, tenant, kind, ref, at, payload, checksum) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: record_learned
-- How decisions ended; folding again overwrites with the same. The row is repeated for a group.
INSERT OR REPLACE INTO learned (tenant, trace_id, seq, record, checksum) VALUES (?, ?, ?, ?, ?);

-- name: erase
-- A purge keeps the event's number and loses its content.
UPDATE events SET kind = ?, ref = ?, at = ?, payload = ?, checksum = ? WHERE tenant = ? AND seq = ?;

-- name: last_seq
-- Where the log ends.
SELECT coalesce(max(seq), 0) FROM events;

-- name: moment
-- When an event was.
SELECT at FROM events WHERE seq = ?;

-- name: read_after
-- The next events of the log.
SELECT seq, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB), at, payload, checksum
FROM events WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: read_memory
-- Everything memory is made of, of all tenants.
SELECT seq, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB), at, payload, checksum
FROM events WHERE kind IN ('capture', 'signature', 'episode_deleted', 'reflection', 'reflection_evicted', 'skill_described', 'document',
                'documents_dropped', 'origin_registered', 'quarantined', 'quarantine_lifted', 'episode_returned',
                'episodes_archived')
  AND seq > ? ORDER BY seq LIMIT ?;

-- name: read_access
-- All acts about tenants, keys and webhooks.
SELECT seq, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB), at, payload, checksum
FROM events WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'webhook_set', 'webhook_removed')
  AND seq > ? ORDER BY seq LIMIT ?;

-- name: acts
-- The last of the operators' acts before a place in the log, of one tenant or of all, in order.
SELECT seq, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB), at, payload, checksum
FROM events WHERE seq IN (
    SELECT seq FROM events
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'webhook_set', 'webhook_removed', 'episode_deleted', 'reflection_evicted',
                   'skill_retired', 'checkpoint', 'restored', 'checkpoints_pruned', 'policy_set', 'appeal_ruled',
                   'challenger_set', 'challenger_ended', 'promoted', 'rolled_back', 'federated', 'origin_forgotten',
                   'budget_set', 'reconciled', 'documents_dropped', 'origin_registered', 'quarantined',
                   'quarantine_lifted', 'episode_returned', 'ranker')
      AND seq < ? AND ? IN (tenant, '*') ORDER BY seq DESC LIMIT ?
) ORDER BY seq;

-- name: read_jobs
-- All that is or was owed.
SELECT seq, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB), at, payload, checksum
FROM events WHERE kind IN ('job', 'job_leased', 'job_failed', 'job_ended') AND seq > ? ORDER BY seq LIMIT ?;

-- name: about
-- All events of one kind about one thing of a tenant; `ref <> ''` lets SQLite use the index, which holds no others.
SELECT seq, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB), at, payload, checksum
FROM events WHERE tenant = ? AND ref = ? AND kind = ? AND ref <> '' ORDER BY seq;

-- name: checkpoints
-- The checkpoints, restores and prunings of a tenant.
SELECT seq, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB), at, payload, checksum
FROM events WHERE kind IN ('checkpoint', 'restored', 'checkpoints_pruned') AND tenant = ? ORDER BY seq;

-- name: learned
-- How one decision ended.
SELECT CAST(tenant AS BLOB), CAST(trace_id AS BLOB), seq, record, checksum
FROM learned WHERE tenant = ? AND trace_id = ?;

-- name: all_learned
-- How every decision ended, up to a place in the log.
SELECT CAST(tenant AS BLOB), CAST(trace_id AS BLOB), seq, record, checksum
FROM learned WHERE seq <= ? ORDER BY tenant, trace_id;

-- name: drop_damaged_records
-- Records that are not what was written.
DELETE FROM learned
WHERE checksum IS NULL
   OR checksum IS NOT row_checksum(seq, 0.0, record, CAST(tenant AS BLOB), CAST(trace_id AS BLOB));

-- name: seal_events
-- Checksums for rows that came without.
UPDATE events
SET checksum = row_checksum(seq, at, payload, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB))
WHERE seq > ? AND seq <= ?;

-- name: seal_records
-- The same for records.
UPDATE learned SET checksum = row_checksum(seq, 0.0, record, CAST(tenant AS BLOB), CAST(trace_id AS BLOB))
WHERE (tenant, trace_id) > (?, ?) AND (tenant, trace_id) <= (?, ?);

-- name: end_of_part
-- The keys of the next records; the last of them ends the part.
SELECT tenant, trace_id FROM learned WHERE (tenant, trace_id) > (?, ?) ORDER BY tenant, trace_id LIMIT ?;

-- name: archives
-- Every archive that was made, oldest first.
SELECT seq, kept, base, archive, checksum FROM archives ORDER BY seq;
