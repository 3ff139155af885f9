-- Who may call is asked at every start: tenants and keys, in order.
CREATE INDEX events_of_access ON events (seq) WHERE kind IN ('tenant_set', 'key_issued', 'key_ends');
