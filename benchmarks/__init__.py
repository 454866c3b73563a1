"""Measurements: what onepass costs, beside what it is compared with, in the same run. See ``docs/benchmarks.md``."""
