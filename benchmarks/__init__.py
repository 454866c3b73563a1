"""Benchmarks: what onepass costs, compared with a reference in the same run. See ``docs/benchmarks.md``."""
