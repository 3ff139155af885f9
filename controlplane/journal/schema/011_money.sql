-- Acts of operators are also the limits they set on what is spent, and what they say a call cost.
DROP INDEX events_of_acts;
CREATE INDEX events_of_acts ON events (seq, tenant)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'episode_deleted', 'skill_retired', 'checkpoint', 'restored',
                   'checkpoints_pruned', 'policy_set', 'appeal_ruled',
                   'challenger_set', 'challenger_ended', 'promoted', 'rolled_back', 'federated', 'origin_forgotten',
                   'budget_set', 'reconciled');
