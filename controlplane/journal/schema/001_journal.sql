-- The journal: one append-only log of everything that changes what is learnt.
-- seq is the log's position, given by the one writer; every other key starts with the tenant.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    ref     TEXT NOT NULL,   -- what the event is about: a trace, a digest, a signature; '' for nothing
    at      REAL NOT NULL,   -- seconds since the epoch
    payload BLOB NOT NULL    -- the event as JSON
) STRICT;

CREATE INDEX events_by_ref ON events (tenant, ref, kind) WHERE ref <> '';
CREATE INDEX events_by_kind ON events (kind, seq)
    WHERE kind IN ('capture', 'signature', 'episode_deleted', 'checkpoint', 'restored');

-- Derived: how each learnt decision ended. A rebuild makes it again from the events.
CREATE TABLE learned (
    tenant   TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    seq      INTEGER NOT NULL,  -- of the event that completed the decision
    record   BLOB NOT NULL,     -- reward, terms and update as JSON
    PRIMARY KEY (tenant, trace_id)
) STRICT, WITHOUT ROWID;
