"""Make hostile files for a while, or replay the corpus; what breaks something is kept and told.

python -m tests.fuzz --minutes 10 --kind onnx     # new files
python -m tests.fuzz --seeds 100000:100500        # these, of every kind
python -m tests.fuzz --corpus                     # the breaks that were found once
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from onepass._optional import optional
from tests.fuzz.harness import tried
from tests.fuzz.kinds import KINDS, Kind

CORPUS = Path(__file__).with_name("corpus")
# What commands import when they need it, which each child would do again.
_LATE = (
    "onepass.runtime.onnxruntime.backend", "onepass.runtime.tensorrt.backend", "onepass.source.frameworks.onnx",
    "onepass.media.video", "onepass.builder._build", "onepass.compare", "PIL.Image",
)  # fmt: skip
_COMMANDS = ("bench", "build", "compare", "convert", "inspect", "run")


def main() -> int:
    """Do what the words say; return 1 if something broke."""
    words = _words()
    kinds = [kind for kind in KINDS if words.kind in (None, kind.name)]
    for name in ("onnxruntime", "cv2", "av", "tensorrt_rtx", *_LATE, *(f"onepass.cli.{each}" for each in _COMMANDS)):
        if find_spec(name):  # once, in the process that all others are forked from
            optional(name, extra="test", purpose="Fuzzing")
    begin, tries, broken = time.monotonic(), Counter[str](), Counter[str]()
    for kind, name, data in _corpus(kinds) if words.corpus else _made(kinds, words):
        if not words.corpus and words.minutes and time.monotonic() - begin > words.minutes * 60:
            break
        tries[kind.name] += 1
        found = tried(kind.files(data), kind.calls)
        if found is None:
            continue
        broken[kind.name] += 1
        print(f"{kind.name} {name}: onepass {found.call}\n  {found.what}", flush=True)  # noqa: T201
        if words.keep:
            words.keep.mkdir(parents=True, exist_ok=True)
            (words.keep / f"{kind.name}-{name}").write_bytes(data)
    seconds = time.monotonic() - begin
    each = ", ".join(f"{name} {number}" for name, number in tries.items())
    print(f"{tries.total()} files in {seconds:.0f} s ({each}): {broken.total()} broke something")  # noqa: T201
    return int(bool(broken))


def _made(kinds: list[Kind], words: argparse.Namespace) -> Iterator[tuple[Kind, str, bytes]]:
    first, _, end = words.seeds.partition(":")
    for seed in range(int(first), int(end)) if end else count(int(first)):
        for kind in kinds:
            yield kind, str(seed), kind.make(random.Random(f"{kind.name} {seed}"))


def _corpus(kinds: list[Kind]) -> Iterator[tuple[Kind, str, bytes]]:
    for kind in kinds:
        for file in sorted((CORPUS / kind.name).glob("*")):
            yield kind, file.name, file.read_bytes()


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long")
    parser.add_argument("--seeds", default="0", help="FIRST, or FIRST:END")
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS])
    parser.add_argument("--keep", type=Path, help="folder for what breaks something")
    parser.add_argument("--corpus", action="store_true", help="replay the corpus instead")
    return parser.parse_args()


sys.exit(main())
