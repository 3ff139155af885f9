-- Vectors of memory, to search them: a fold of the journal, which can be thrown away and filled again.

CREATE EXTENSION IF NOT EXISTS vector;

-- What one embedder's vectors are, whole. A new one is filled while another serves.
CREATE TABLE vector_generations (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    embedder text NOT NULL,
    position bigint NOT NULL DEFAULT 0,     -- every event up to this one is in it
    serving_since timestamptz,              -- unset while it is filled for the first time
    retired_at timestamptz                  -- another one serves in its place
);

-- The vectors of one kind in one namespace of one tenant.
CREATE TABLE vector_spaces (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation bigint NOT NULL REFERENCES vector_generations ON DELETE CASCADE,
    tenant text NOT NULL,
    namespace text NOT NULL,
    kind text NOT NULL,
    UNIQUE (generation, tenant, namespace, kind)
);

-- Small spaces are read whole, by the primary key; each large one has a graph of its own, an index on its rows alone.
CREATE TABLE vectors (
    space bigint NOT NULL REFERENCES vector_spaces ON DELETE CASCADE,
    key bigint NOT NULL,
    tenant text NOT NULL,
    seq bigint NOT NULL,                    -- the event this follows from; a row never follows an older one
    vector vector,                          -- NULL: taken out
    PRIMARY KEY (space, key)
);

ALTER TABLE vector_spaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE vector_spaces FORCE ROW LEVEL SECURITY;
ALTER TABLE vectors ENABLE ROW LEVEL SECURITY;
ALTER TABLE vectors FORCE ROW LEVEL SECURITY;

CREATE POLICY of_one_tenant ON vector_spaces
    USING (tenant = current_setting('pointsman.tenant', true))
    WITH CHECK (tenant = current_setting('pointsman.tenant', true));
CREATE POLICY of_one_tenant ON vectors
    USING (tenant = current_setting('pointsman.tenant', true))
    WITH CHECK (tenant = current_setting('pointsman.tenant', true));
