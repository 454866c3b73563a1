"""The project's own fuzzing: hostile files of every kind that onepass reads, each in a process of its own.

``python -m tests.fuzz --minutes 10`` makes files by seeds and keeps those that break something; `corpus` has every
break that was found, and `test_corpus` holds that none comes back.
"""
