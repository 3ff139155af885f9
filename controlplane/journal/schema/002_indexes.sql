-- Each question has the index it needs: what memory is made of in order, and a tenant's checkpoints and restores.
DROP INDEX events_by_kind;
CREATE INDEX events_of_memory ON events (seq) WHERE kind IN ('capture', 'signature', 'episode_deleted');
CREATE INDEX events_of_checkpoints ON events (tenant, seq) WHERE kind IN ('checkpoint', 'restored');
