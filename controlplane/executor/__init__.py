"""Decision points: each is an action space, a feature spec, a reward mix and an executor."""
