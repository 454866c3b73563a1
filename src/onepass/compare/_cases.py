"""Inputs to compare two models on: random numbers, edge cases, and files in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onepass._array_files import DEFAULT_MAX_BYTES, read_arrays
from onepass._errors import InputError
from onepass.outputs import Array
from onepass.sampling import edge_inputs, random_inputs
from onepass.tensors import Signature


@dataclass(frozen=True, slots=True)
class Case:
    """One set of inputs.

    Attributes:
        name: Its name in reports: ``random 3``, ``zeros``, or a file name.
        feeds: One array for each input of the first model, by name.
        drawn: Whether onepass generated these inputs.
    """

    name: str
    feeds: Mapping[str, Array]
    drawn: bool = False

    def __repr__(self) -> str:
        return f"Case({self.name}: {', '.join(f'{name}={a.dtype}{list(a.shape)}' for name, a in self.feeds.items())})"


def random_cases(
    signature: Signature,
    count: int,
    *,
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Iterator[Case]:
    """Yield `count` cases of normally distributed numbers, small integers or booleans; see `sampling.random_inputs`."""
    for index in range(count):
        yield Case(
            f"random {index}", random_inputs(signature, sizes=sizes, shapes=shapes, seed=seed + index), drawn=True
        )


def edge_cases(
    signature: Signature,
    *,
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
) -> Iterator[Case]:
    """Yield the cases of `sampling.edge_inputs`, where reduced precision and rewritten graphs fail first.

    Where dynamic dimensions have names and no size is given, two more cases follow, with these dimensions at 1 and 3.
    """
    drawn = random_inputs(signature, sizes=sizes, shapes=shapes, seed=seed)
    for name, feeds in edge_inputs(drawn):
        yield Case(name, feeds, drawn=True)
    dims = [(spec.name, dim) for spec in signature.inputs for dim in spec.shape or () if isinstance(dim, str)]
    sized = {*(sizes or {}), *(dim for name, dim in dims if name in (shapes or {}))}
    free = sorted({dim for _, dim in dims} - sized)
    for size in (1, 3) if free else ():
        wanted = {**dict.fromkeys(free, size), **(sizes or {})}
        feeds = random_inputs(signature, sizes=wanted, shapes=shapes, seed=seed + size)
        yield Case(f"{', '.join(free)} = {size}", feeds, drawn=True)


def folder_cases(folder: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> Iterator[Case]:
    """Yield one case for each ``.npz`` in a folder, sorted by name.

    Args:
        folder: The folder.
        max_bytes: Memory limit for the arrays of one file.

    Raises:
        InputError: The folder has no ``.npz``, or a file is too large or not a NumPy file of numbers.
    """
    files = sorted(Path(folder).glob("*.npz"))
    if not files:
        raise InputError(f"no .npz file in {folder}; expected one per case, with one array per input")
    for file in files:
        yield Case(file.name, read_arrays(file, max_bytes=max_bytes))
