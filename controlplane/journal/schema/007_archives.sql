-- What was moved out of the log: an archive covers everything up to its `seq`, and folding begins with its base.
-- Some events stay in the log all the same (port.py says which kinds); their number never changes again.
CREATE TABLE archives (
    seq      INTEGER PRIMARY KEY,  -- the last event that it covers
    kept     INTEGER NOT NULL,     -- events up to there that are still in the log
    base     BLOB NOT NULL,        -- BLAKE2b-256 of the learnt state up to there
    archive  BLOB NOT NULL,        -- BLAKE2b-256 of the file that holds what was moved
    checksum INTEGER NOT NULL
) STRICT;
