"""A large replay: the same log through every engine."""
