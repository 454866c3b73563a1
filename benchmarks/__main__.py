"""``python -m benchmarks [NAME …]``: run benchmarks and write ``benchmarks/results/NAME.json``."""

import argparse
from importlib import import_module

from benchmarks.report import write_results

NAMES = ("overhead", "startup", "memory", "threads", "pictures", "gaze", "gaze_memory", "gaze_clips", "batch", "page")


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all by default")
    chosen = parser.parse_args().names or NAMES
    for name in chosen:
        if name not in NAMES:
            parser.error(f"no measurement {name!r}; there are {', '.join(NAMES)}")
    for name in chosen:
        rows = import_module(f"benchmarks.{name}").measure()
        write_results(name, rows)


if __name__ == "__main__":
    main()
