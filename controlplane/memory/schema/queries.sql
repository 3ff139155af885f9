-- Every query on the vectors' tables by its name.

-- name: lock
SELECT pg_advisory_xact_lock(hashtext('pointsman vectors'));

-- name: make_versions
CREATE TABLE IF NOT EXISTS vector_schema (version int PRIMARY KEY);

-- name: version
SELECT coalesce(max(version), 0) FROM vector_schema;

-- name: note_version
INSERT INTO vector_schema (version) VALUES ($1);

-- name: make_extension
CREATE EXTENSION IF NOT EXISTS vector;

-- name: extension
SELECT extversion FROM pg_extension WHERE extname = 'vector';

-- name: extension_schema
SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector';

-- name: as_tenant
SELECT set_config('pointsman.tenant', $1, true);

-- name: by_graph
-- Whatever the planner believes of the rows, which it may never have counted.
SELECT set_config('enable_sort', 'off', true);

-- name: forget_retired
-- Whoever still reads one has had time to go over to the next.
DELETE FROM vector_generations WHERE retired_at < now() - interval '1 day';

-- name: generations
-- Those to write to: of an embedder, and the one that is read even where another embedder's serves by now.
SELECT number, position, serving_since IS NOT NULL AS serving FROM vector_generations
WHERE embedder = $1 AND (retired_at IS NULL OR number = $2) ORDER BY number;

-- name: bring_back
-- The newest of an embedder whose generations are all retired.
UPDATE vector_generations SET retired_at = NULL WHERE number = (
    SELECT max(number) FROM vector_generations AS known WHERE embedder = $1
    HAVING bool_and(retired_at IS NOT NULL)
);

-- name: make_generation
INSERT INTO vector_generations (embedder) VALUES ($1);

-- name: make_generations_anew
INSERT INTO vector_generations (embedder)
SELECT DISTINCT embedder FROM vector_generations WHERE retired_at IS NULL
RETURNING embedder;

-- name: serve
UPDATE vector_generations SET serving_since = now() WHERE number = $1 AND serving_since IS NULL;

-- name: retire
UPDATE vector_generations SET retired_at = now() WHERE number < $1 AND retired_at IS NULL;

-- name: note_position
UPDATE vector_generations SET position = greatest(position, $2) WHERE number = ANY($1::bigint[]);

-- name: make_space
INSERT INTO vector_spaces (generation, tenant, namespace, kind) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: space
SELECT number FROM vector_spaces WHERE generation = $1 AND tenant = $2 AND namespace = $3 AND kind = $4;

-- name: write
-- Nothing changes where it was written before: several replicas write the same. An id has one vector for ever.
INSERT INTO vectors AS held (space, key, tenant, seq, vector) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (space, key) DO UPDATE SET
    seq = excluded.seq,
    vector = CASE WHEN excluded.vector IS NULL THEN NULL ELSE coalesce(held.vector, excluded.vector) END
WHERE held.seq < excluded.seq;

-- name: nearest
SELECT key, vector FROM vectors WHERE space = $1 AND vector IS NOT NULL ORDER BY vector <#> $2, key LIMIT $3;

-- name: nearest_by_graph
SELECT key, vector FROM vectors WHERE space = $1 AND vector IS NOT NULL
ORDER BY vector::vector(:dimension) <#> $2 LIMIT $3;

-- name: vectors
SELECT key, vector FROM vectors WHERE space = $1 AND key = ANY($2::bigint[]) AND vector IS NOT NULL;

-- name: held
SELECT DISTINCT namespace, kind, key FROM vectors JOIN vector_spaces ON number = space
WHERE generation = ANY($1::bigint[]) AND vector IS NOT NULL AND seq < $2;

-- name: dimension
SELECT vector_dims(vector) FROM vectors WHERE space = $1 AND vector IS NOT NULL LIMIT 1;

-- name: graphs
SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = 'vectors'::regclass AND relname LIKE 'vectors\_graph\_%';

-- name: graphs_of_nothing
-- Of generations that were deleted.
SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = 'vectors'::regclass AND relname LIKE 'vectors\_graph\_%'
AND NOT EXISTS (SELECT FROM vector_generations WHERE number = split_part(relname, '_', 3)::bigint);

-- name: lock_building
-- Until the connection is closed.
SELECT pg_try_advisory_lock(hashtext('pointsman vectors'), :space);

-- name: drop_graph
DROP INDEX CONCURRENTLY IF EXISTS vectors_graph_:generation_:space;

-- name: drop_named
DROP INDEX CONCURRENTLY IF EXISTS :name;

-- name: build_graph
CREATE INDEX CONCURRENTLY vectors_graph_:generation_:space ON vectors
USING hnsw ((vector::vector(:dimension)) vector_ip_ops) WITH (m = 16, ef_construction = 64) WHERE space = :space;
