-- Memory is also documents and the origins they come from; dropping documents and registering an origin are acts, too.
DROP INDEX events_of_memory;
CREATE INDEX events_of_memory ON events (seq)
    WHERE kind IN ('capture', 'signature', 'episode_deleted', 'reflection', 'reflection_evicted',
                   'document', 'documents_dropped', 'origin_registered');
DROP INDEX events_of_acts;
CREATE INDEX events_of_acts ON events (seq, tenant)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'episode_deleted', 'skill_retired', 'checkpoint', 'restored',
                   'checkpoints_pruned', 'policy_set', 'appeal_ruled',
                   'challenger_set', 'challenger_ended', 'promoted', 'rolled_back', 'federated', 'origin_forgotten',
                   'budget_set', 'reconciled', 'reflection_evicted',
                   'documents_dropped', 'origin_registered');
