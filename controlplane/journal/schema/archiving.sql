-- name: note_archive
-- An archive that was made, or the base that was made again for one.
INSERT OR REPLACE INTO archives (seq, kept, base, archive, checksum) VALUES (?, ?, ?, ?, ?);

-- name: first_since
-- The first event after a moment.
SELECT min(seq) FROM events WHERE at > ?;

-- name: count_until
-- How many events stand in the log up to a place.
SELECT count(*) FROM events WHERE seq <= ?;

-- name: attach_archive
-- The file that takes what is moved, or holds what was.
ATTACH DATABASE ? AS archive;

-- name: make_staying
-- The decisions that are still open: what is about them stays.
CREATE TEMP TABLE staying (tenant TEXT NOT NULL, trace_id TEXT NOT NULL, PRIMARY KEY (tenant, trace_id)) STRICT;

-- name: let_stay
-- One of them.
INSERT INTO staying (tenant, trace_id) VALUES (?, ?);

-- name: copy_events
-- What is moved, part by part: neither what memory, access, checkpoints, the audit and the outbox are made of, nor what is
-- about open decisions.
INSERT INTO archive.events (seq, tenant, kind, ref, at, payload, checksum)
SELECT seq, tenant, kind, ref, at, payload, checksum FROM main.events
WHERE seq > ? AND seq <= ?
  AND kind NOT IN ('capture', 'signature', 'episode_deleted', 'reflection', 'reflection_evicted', 'skill_described', 'document',
                   'documents_dropped', 'origin_registered', 'quarantined', 'quarantine_lifted', 'episode_returned',
                   'episodes_archived', 'tenant_set', 'key_issued', 'key_ends', 'webhook_set', 'webhook_removed',
                   'skill_retired', 'checkpoint', 'restored', 'checkpoints_pruned', 'policy_set', 'appeal_ruled',
                   'challenger_set', 'challenger_ended', 'promoted', 'rolled_back', 'federated', 'origin_forgotten',
                   'budget_set', 'reconciled', 'ranker', 'appeal', 'job', 'job_leased', 'job_failed', 'job_ended')
  AND (tenant, ref) NOT IN (SELECT tenant, trace_id FROM staying);

-- name: copy_records
-- How the decisions ended that are over by a place.
INSERT INTO archive.learned (tenant, trace_id, seq, record, checksum)
SELECT tenant, trace_id, seq, record, checksum FROM main.learned WHERE seq <= ?;

-- name: drop_moved_events
-- What the archive holds leaves the log: this and nothing else.
DELETE FROM main.events WHERE seq IN (SELECT seq FROM archive.events);

-- name: drop_moved_records
-- The same for records.
DELETE FROM main.learned WHERE seq <= ?;
