-- What operators did is asked newest first, of all tenants or of one; what is owed (the outbox) is asked at every start.
CREATE INDEX events_of_acts ON events (seq, tenant)
    WHERE kind IN ('tenant_set', 'key_issued', 'key_ends', 'episode_deleted', 'skill_retired', 'checkpoint', 'restored');
CREATE INDEX events_of_jobs ON events (seq) WHERE kind IN ('job', 'job_leased', 'job_failed', 'job_ended');
