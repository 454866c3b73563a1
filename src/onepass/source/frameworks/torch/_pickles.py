"""Archives of PyTorch read without the code that pickles may hold, also where PyTorch itself would run it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import torch

_LOADERS: tuple[tuple[Any, str], ...] = ((pickle, "loads"), (torch._C, "_pickle_load_obj"))  # noqa: SLF001


@contextmanager
def no_pickled_code() -> Iterator[None]:
    """Let `torch.load` read tensors and plain values only, and nothing be unpickled otherwise, while the block runs.

    ``torch.export.load`` takes ``weights_only=False`` when the safe way fails, and for some parts at once. What is
    exchanged here is so for the whole process, which has one file to read.

    Raises:
        pickle.UnpicklingError: Something in the archive is no tensor or plain value.
    """
    load, others = torch.load, [(place, name, getattr(place, name, None)) for place, name in _LOADERS]
    found: list[Exception] = []
    torch.load = partial(_tensors_only, load, found)
    for place, name, _ in others:
        setattr(place, name, partial(_refused, found))
    try:
        yield
    except Exception as error:  # PyTorch makes errors of its own of it
        if found:
            raise found[0] from error
        raise
    finally:
        torch.load = load
        for place, name, loader in others:
            setattr(place, name, loader)


def _tensors_only(load: Any, found: list[Exception], *arguments: Any, **options: Any) -> Any:
    try:
        return load(*arguments, **{**options, "weights_only": True})
    except pickle.UnpicklingError as error:
        found.append(error)
        raise


def _refused(found: list[Exception], *_arguments: Any, **_options: Any) -> NoReturn:
    found.append(pickle.UnpicklingError("an object that is neither a tensor nor a plain value"))
    raise found[-1]
