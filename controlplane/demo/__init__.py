"""The main job on real input: an agent on real commands, without a gate, with the fixed rule, with the learned one.

The floors below know nothing of what is played here: the families of tasks live in this room alone.
"""
