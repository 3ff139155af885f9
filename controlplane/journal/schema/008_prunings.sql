-- Checkpoints that were let go of are found where the others are.
DROP INDEX events_of_checkpoints;
CREATE INDEX events_of_checkpoints ON events (tenant, seq) WHERE kind IN ('checkpoint', 'restored', 'checkpoints_pruned');
DROP INDEX events_of_acts;
CREATE INDEX events_of_acts ON events (seq, tenant)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'episode_deleted', 'skill_retired', 'checkpoint', 'restored',
                   'checkpoints_pruned');
