"""Benchmarks: one file per claim in the README. Ratios within one run count; absolute times depend on the machine."""
