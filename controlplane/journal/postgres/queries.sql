-- name: append
-- What came together, committed together.
SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: append_at
-- The same, where the log ends with a certain event; else nothing, not even an answer.
WITH there AS MATERIALIZED (SELECT FROM head WHERE seq = $14 FOR UPDATE)
SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) FROM there;

-- name: record_learned
-- How decisions ended; folding again overwrites with the same.
INSERT INTO learned (tenant, trace_id, seq, record, checksum)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[])
ON CONFLICT (tenant, trace_id) DO UPDATE
SET seq = excluded.seq, record = excluded.record, checksum = excluded.checksum WHERE learned.seq <= excluded.seq;

-- name: touch
-- A write that changes nothing: whether one goes through.
UPDATE head SET seq = seq;

-- name: erase
-- A purge keeps the event's number and loses its content.
UPDATE events SET kind = $1, ref = $2, at = $3, payload = $4, checksum = $5 WHERE tenant = $6 AND seq = $7;

-- name: last_seq
-- Where the log ends.
SELECT seq FROM head;

-- name: read_after
-- The next events of the log.
SELECT seq, tenant, kind, ref, at, payload, checksum FROM events WHERE seq > $1 ORDER BY seq LIMIT $2;

-- name: read_kinds
-- The same, of some kinds: from each as many as are wanted of all, for each has an index.
SELECT found.* FROM unnest($3::text[]) AS of_kind CROSS JOIN LATERAL (
    SELECT seq, tenant, kind, ref, at, payload, checksum FROM events
    WHERE kind = of_kind AND seq > $1 ORDER BY seq LIMIT $2
) AS found ORDER BY seq LIMIT $2;

-- name: acts
-- The last of the operators' acts before a place in the log, of one tenant or of all, in order.
SELECT * FROM (
    SELECT found.* FROM unnest($4::text[]) AS of_kind CROSS JOIN LATERAL (
        SELECT seq, tenant, kind, ref, at, payload, checksum FROM events
        WHERE kind = of_kind AND seq < $1 AND $2 IN (tenant, '*') ORDER BY seq DESC LIMIT $3
    ) AS found ORDER BY seq DESC LIMIT $3
) AS last_ones ORDER BY seq;

-- name: about
-- All events of one kind about one thing of a tenant; `ref <> ''` lets the index be used, which holds no others.
SELECT seq, tenant, kind, ref, at, payload, checksum
FROM events WHERE tenant = $1 AND ref = $2 AND kind = $3 AND ref <> '' ORDER BY seq;

-- name: of_tenant
-- All events of some kinds of a tenant.
SELECT seq, tenant, kind, ref, at, payload, checksum
FROM events WHERE kind = ANY($2::text[]) AND tenant = $1 ORDER BY seq;

-- name: learned
-- How one decision ended.
SELECT tenant, trace_id, seq, record, checksum FROM learned WHERE tenant = $1 AND trace_id = $2;

-- name: all_learned
-- How every decision ended, up to a place in the log.
SELECT tenant, trace_id, seq, record, checksum FROM learned WHERE seq <= $1 ORDER BY tenant, trace_id;

-- name: begin_month
-- The partition that events go to, begun in time.
SELECT begin_month(date_trunc('month', now())::date);

-- name: forget_writers
-- Writers that ended, and receipts that hold no longer.
WITH ended AS (DELETE FROM writers WHERE at < now() - interval '1 day')
DELETE FROM receipts WHERE at < $1;

-- name: acquire
-- Take the lease that nobody holds.
UPDATE lease SET token = token + 1, holder = $1, ends_at = clock_timestamp() + make_interval(secs => $2)
WHERE ends_at < clock_timestamp() RETURNING token;

-- name: renew
-- Hold it longer; one that was over is taken anew, under another token, so that whoever takes it catches up first.
UPDATE lease SET ends_at = clock_timestamp() + make_interval(secs => $2)
WHERE token = $1 AND ends_at >= clock_timestamp() RETURNING token;

-- name: release
-- Let another take it.
UPDATE lease SET ends_at = '-infinity' WHERE token = $1;

-- name: leader
-- Who holds it.
SELECT holder FROM lease WHERE ends_at > clock_timestamp();

-- name: publish
-- Learnt state, by who holds the lease; no more than three are kept.
WITH old AS (DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT 2))
INSERT INTO snapshots (seq, token, sealed) SELECT $1, $2, $3 WHERE EXISTS (SELECT FROM lease WHERE token = $2)
ON CONFLICT (seq) DO UPDATE SET token = excluded.token RETURNING seq;

-- name: newest_snapshot
-- Where a replica begins that has nothing newer.
SELECT seq, sealed FROM snapshots WHERE seq > $1 ORDER BY seq DESC LIMIT 1;

-- name: published_seq
-- Up to where the learnt state was published.
SELECT max(seq) FROM snapshots;

-- name: agree
-- What all replicas must have in common: the first says what it is.
INSERT INTO files (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: put_file
-- A file that every replica may need.
INSERT INTO files (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed;

-- name: get_file
-- One of them.
SELECT sealed FROM files WHERE name = $1;

-- name: drop_file
-- Nobody needs it any more.
DELETE FROM files WHERE name = $1;

-- name: in_turn
-- One of many replicas at a time.
SELECT pg_advisory_lock($1);

-- name: soon_over
-- Who holds a lock and says nothing loses it.
SELECT set_config('idle_session_timeout', '10s', false);

-- name: turn
-- The same, unless that means to wait; whether it is held.
SELECT pg_try_advisory_lock($1);

-- name: of_tenant_only
-- Whose rows the rest of the transaction is for.
SELECT set_config('pointsman.tenant', $1, true);

-- name: make_versions
-- Which steps of the schema were made.
CREATE TABLE IF NOT EXISTS schema_version (number integer NOT NULL);

-- name: version
-- The newest of them.
SELECT coalesce(max(number), 0) FROM schema_version;

-- name: standing
-- The newest of them, where the log ends, and what tells an event from others, if it is there and was not purged.
SELECT (SELECT coalesce(max(number), 0) FROM schema_version), head.seq, tenant, ref, at
FROM head LEFT JOIN events ON events.seq = $1 AND kind <> 'purged';

-- name: note_version
-- One more.
INSERT INTO schema_version VALUES ($1);

-- name: archived_seq
-- Up to where events were moved out of the log.
SELECT coalesce(max(seq), 0) FROM archives;

-- name: first_since
-- The first event after a moment.
SELECT min(seq) FROM events WHERE at > $1;

-- name: archive
-- Take out of the log what an archive's file holds.
SELECT archive_events($1, $2, $3, $4, $5);

-- name: has_schema
-- Whether the journal was begun here.
SELECT to_regclass('lease') IS NOT NULL;

-- name: look
-- Whether it takes writes, whether the journal was begun here, whether another program's tables are, and whether the role
-- may do what it must.
SELECT current_setting('transaction_read_only') = 'on' AS read_only,
    to_regclass('schema_version') IS NOT NULL AS begun,
    coalesce(to_regclass('head'), to_regclass('events')) IS NOT NULL AS taken,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
        AND coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('events')), true) AS may;

-- name: unbound
-- Whether row-level security is nothing to this role.
SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user;
