-- Memory is also what was set aside and let back in; what operators do of that is an act, too.
-- Who outside is told of it is read at the start, with who may call.
DROP INDEX events_of_memory;
CREATE INDEX events_of_memory ON events (seq)
    WHERE kind IN ('capture', 'signature', 'episode_deleted', 'reflection', 'reflection_evicted',
                   'quarantined', 'quarantine_lifted', 'episode_returned', 'episodes_archived');
DROP INDEX events_of_acts;
CREATE INDEX events_of_acts ON events (seq, tenant)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'episode_deleted', 'skill_retired', 'checkpoint', 'restored',
                   'checkpoints_pruned', 'policy_set', 'appeal_ruled',
                   'challenger_set', 'challenger_ended', 'promoted', 'rolled_back', 'federated', 'origin_forgotten',
                   'budget_set', 'reconciled', 'reflection_evicted',
                   'quarantined', 'quarantine_lifted', 'episode_returned', 'webhook_set', 'webhook_removed');
DROP INDEX events_of_access;
CREATE INDEX events_of_access ON events (seq)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'webhook_set', 'webhook_removed');
