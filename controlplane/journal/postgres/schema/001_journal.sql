-- The journal on PostgreSQL: the same log as on SQLite, for many replicas.
--
-- `head` has one row, and whoever appends holds its lock to the end of the transaction. So numbers have no gaps and
-- become visible in order: a reader that has seen event n has seen every one before it, and a transaction that commits
-- late is waited for by the next, never skipped.

CREATE TABLE head (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq   bigint NOT NULL DEFAULT 0,  -- of the newest event
    month date NOT NULL               -- the partition that events go to
);

-- Every key starts with the tenant but the log's own position. `ref` is bytes: text here cannot hold a NUL.
CREATE TABLE events (
    seq      bigint NOT NULL,
    month    date NOT NULL,
    tenant   text COLLATE "C" NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    ref      bytea NOT NULL,             -- what the event is about: a trace, a digest, a signature; '' for nothing
    at       double precision NOT NULL,  -- seconds since the epoch
    payload  bytea NOT NULL,             -- the event as JSON
    checksum bigint NOT NULL,            -- CRC-32 of all of that but the number, which the gapless log proves
    PRIMARY KEY (seq, month)
) PARTITION BY RANGE (month);

-- What an archive leaves in the log (port.py says which kinds): its month is the beginning of time.
CREATE TABLE events_kept PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('0001-01-01')
    WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE events_kept ENABLE ROW LEVEL SECURITY;
ALTER TABLE events_kept FORCE ROW LEVEL SECURITY;

CREATE INDEX events_by_ref ON events (tenant, ref, kind, seq) WHERE ref <> '';
CREATE INDEX events_by_kind ON events (kind, seq);

-- Derived: how each learnt decision ended. A rebuild makes it again from the events.
CREATE TABLE learned (
    tenant   text COLLATE "C" NOT NULL,
    trace_id bytea NOT NULL,
    seq      bigint NOT NULL,  -- of the event that completed the decision
    record   bytea NOT NULL,   -- reward, terms and update as JSON
    checksum bigint NOT NULL,
    PRIMARY KEY (tenant, trace_id)
);

-- The second wall between tenants: a statement sees rows of the tenant it said it is for, of all ('*') or, where it
-- said nothing, of none. FORCE: the tables' owner, who asks, is no exception.
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
ALTER TABLE learned ENABLE ROW LEVEL SECURITY;
ALTER TABLE learned FORCE ROW LEVEL SECURITY;
CREATE POLICY of_one_tenant ON events USING (current_setting('pointsman.tenant', true) IN ('*', tenant));
CREATE POLICY of_one_tenant ON learned USING (current_setting('pointsman.tenant', true) IN ('*', tenant));

-- Which keyed requests have had their effect, and when; one that comes again at another replica meets it here.
CREATE TABLE receipts (
    tenant text COLLATE "C" NOT NULL,
    ref    bytea NOT NULL,
    at     double precision NOT NULL,
    PRIMARY KEY (tenant, ref)
);

-- What each writer was last told, so that a group whose answer was lost with its connection is asked again, not written
-- again.
CREATE TABLE writers (
    writer  text PRIMARY KEY,
    number  bigint NOT NULL,   -- of its last group
    answers bigint[] NOT NULL,
    at      timestamptz NOT NULL DEFAULT now()
);

-- Who may do what only one may do. The token grows with each holder: what an earlier one sends is refused.
CREATE TABLE lease (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    token   bigint NOT NULL DEFAULT 0,
    holder  text NOT NULL DEFAULT '',
    ends_at timestamptz NOT NULL DEFAULT '-infinity'
);

-- Learnt state as the holder published it: where a new replica begins to fold.
CREATE TABLE snapshots (
    seq     bigint PRIMARY KEY,
    token   bigint NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    sealed  bytea NOT NULL
);

-- What was moved out of the log: everything up to `seq` but what was kept. Folding begins with the file `base`.
CREATE TABLE archives (
    seq  bigint PRIMARY KEY,
    kept bigint NOT NULL
);

-- Files that every replica may need: named checkpoints.
CREATE TABLE files (
    name    text PRIMARY KEY,
    sealed  bytea NOT NULL
);

-- Begin the partition of a month, once, and send events there from now on. Rows are guarded by the policy above, so
-- nobody may go to a partition itself. What is erased is vacuumed away soon.
CREATE FUNCTION begin_month(wanted date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'events_' || to_char(wanted, 'YYYY_MM');
BEGIN
    PERFORM FROM head FOR UPDATE;  -- in the order of appends, or each would wait for the other
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L) WITH '
            || '(autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)',
            name, wanted, wanted + interval '1 month');
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    END IF;
    UPDATE head SET month = wanted WHERE month < wanted;
END $$;

-- Take out of the log, in one transaction, what an archive's file holds: everything up to a place but some kinds of
-- events and those about decisions that are open. A month that is over goes as a whole; how many stayed is returned.
CREATE FUNCTION archive_events(
    upto bigint, base bytea, staying text[], open_tenants text[], open_refs bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    left_in bigint;
    part record;
    over_now text[] := '{}';
    gone text;
BEGIN
    UPDATE events SET month = '-infinity'
    WHERE seq <= upto AND month > '-infinity' AND (
        kind = ANY (staying)
        OR (tenant, ref) IN (SELECT * FROM unnest(open_tenants, open_refs))
    );
    FOR part IN
        SELECT inhrelid::regclass AS name, to_date(right(inhrelid::regclass::text, 7), 'YYYY_MM') AS begins
        FROM pg_inherits WHERE inhparent = 'events'::regclass AND inhrelid <> 'events_kept'::regclass
    LOOP
        IF part.begins < (SELECT month FROM head)
            AND coalesce((SELECT max(seq) FROM events WHERE month = part.begins), 0) <= upto
        THEN
            over_now := over_now || part.name::text;
        ELSE
            DELETE FROM events WHERE month = part.begins AND seq <= upto;
        END IF;
    END LOOP;
    DELETE FROM learned WHERE seq <= upto;
    SELECT count(*) INTO left_in FROM events WHERE seq <= upto AND month = '-infinity';
    INSERT INTO archives VALUES (upto, left_in);
    INSERT INTO files VALUES ('base', base) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed;
    FOREACH gone IN ARRAY over_now LOOP  -- last, for everybody waits from here to the end
        EXECUTE format('DROP TABLE %s', gone);
    END LOOP;
    RETURN left_in;
END $$;

-- Append what came together, in one transaction. Of each append (`sizes` events, in order): the number of its first
-- event, or why nothing of it was written: -1, it is for the lease's holder and `holding` is not its token; -2, the
-- receipt it begins with is there already and holds for `repeatable` seconds.
CREATE FUNCTION append_events(
    of_writer text, of_number bigint, holding bigint, repeatable double precision, sizes integer[], leading_ones boolean[],
    owners integer[], tenants text[], kinds text[], refs bytea[], ats double precision[], payloads bytea[],
    checksums bigint[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    last bigint;
    part date;
    answers bigint[];
    added bigint := 0;
    leads boolean;
    taken integer;
    known bigint;
BEGIN
    SELECT seq, month INTO last, part FROM head FOR UPDATE;
    SELECT w.number, w.answers INTO known, answers FROM writers w WHERE writer = of_writer;
    IF known >= of_number THEN  -- of one that comes after its successor everybody was refused
        RETURN CASE WHEN known = of_number THEN answers END;
    END IF;
    answers := array_fill(0::bigint, ARRAY[cardinality(sizes)]);
    PERFORM FROM lease WHERE token = holding FOR SHARE;  -- nobody takes it before this is there to be read
    leads := FOUND;
    FOR taken IN
        SELECT e.owner FROM unnest(owners, tenants, kinds, refs, ats) AS e (owner, tenant, kind, ref, at)
        JOIN receipts r ON r.tenant = e.tenant AND r.ref = e.ref AND e.at - r.at < repeatable
        WHERE e.kind = 'receipt'
    LOOP
        answers[taken] := -2;
    END LOOP;
    FOR nth IN 1 .. cardinality(sizes) LOOP
        IF leading_ones[nth] AND NOT leads THEN
            answers[nth] := -1;
        ELSIF answers[nth] = 0 THEN
            answers[nth] := last + added + 1;
            added := added + sizes[nth];
        END IF;
    END LOOP;
    INSERT INTO events (seq, month, tenant, kind, ref, at, payload, checksum)
    SELECT last + row_number() OVER (ORDER BY e.place), part, e.tenant, e.kind, e.ref, e.at, e.payload, e.checksum
    FROM unnest(owners, tenants, kinds, refs, ats, payloads, checksums)
        WITH ORDINALITY AS e (owner, tenant, kind, ref, at, payload, checksum, place)
    WHERE answers[e.owner] > 0;
    INSERT INTO receipts (tenant, ref, at)
    SELECT e.tenant, e.ref, max(e.at) FROM unnest(owners, tenants, kinds, refs, ats) AS e (owner, tenant, kind, ref, at)
    WHERE e.kind = 'receipt' AND answers[e.owner] > 0 GROUP BY e.tenant, e.ref
    ON CONFLICT (tenant, ref) DO UPDATE SET at = excluded.at;
    UPDATE head SET seq = last + added;
    INSERT INTO writers VALUES (of_writer, of_number, answers)
    ON CONFLICT (writer) DO UPDATE SET number = excluded.number, answers = excluded.answers, at = now();
    PERFORM pg_notify('pointsman_journal', (last + added)::text);
    RETURN answers;
END $$;

INSERT INTO head (month) VALUES (date_trunc('month', now())::date);
INSERT INTO lease DEFAULT VALUES;
SELECT begin_month(month) FROM head;
