-- Memory is also skills in words.
DROP INDEX events_of_memory;
CREATE INDEX events_of_memory ON events (seq)
    WHERE kind IN ('capture', 'signature', 'episode_deleted', 'reflection', 'reflection_evicted', 'skill_described');
