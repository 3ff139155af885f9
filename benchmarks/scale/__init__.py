"""Past one machine: what each part costs, measured, and a model of more replicas and shards than anybody has here."""
