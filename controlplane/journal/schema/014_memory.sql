-- Memory is also skills in words, and documents with the origins they come from; some of what is done to it is an act.
DROP INDEX events_of_memory;
CREATE INDEX events_of_memory ON events (seq)
    WHERE kind IN ('capture', 'signature', 'episode_deleted', 'reflection', 'reflection_evicted', 'skill_described', 'document',
                   'documents_dropped', 'origin_registered', 'quarantined', 'quarantine_lifted', 'episode_returned',
                   'episodes_archived');
DROP INDEX events_of_acts;
CREATE INDEX events_of_acts ON events (seq, tenant)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'webhook_set', 'webhook_removed', 'episode_deleted', 'reflection_evicted',
                   'skill_retired', 'checkpoint', 'restored', 'checkpoints_pruned', 'policy_set', 'appeal_ruled',
                   'challenger_set', 'challenger_ended', 'promoted', 'rolled_back', 'federated', 'origin_forgotten',
                   'budget_set', 'reconciled', 'documents_dropped', 'origin_registered', 'quarantined',
                   'quarantine_lifted', 'episode_returned', 'ranker');
DROP INDEX events_of_access;
CREATE INDEX events_of_access ON events (seq)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'webhook_set', 'webhook_removed');
