"""Replicas on one PostgreSQL that are killed and paused at random, under a steady load: what is lost, doubled, late?"""
