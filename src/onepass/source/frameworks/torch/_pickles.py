"""Read PyTorch archives without executing pickled code, even where PyTorch itself would execute it."""

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
    """Within the block, restrict `torch.load` to tensors and plain values, and block all other unpickling.

    ``torch.export.load`` falls back to ``weights_only=False`` when the safe way fails, and uses it at once for some
    parts. The functions are replaced for the whole process, which reads only one file.

    Raises:
        pickle.UnpicklingError: The archive contains something other than tensors and plain values.
    """
    load, others = torch.load, [(place, name, getattr(place, name, None)) for place, name in _LOADERS]
    found: list[Exception] = []
    torch.load = partial(_tensors_only, load, found)
    for place, name, _ in others:
        setattr(place, name, partial(_refused, found))
    try:
        yield
    except Exception as error:  # PyTorch wraps the error in its own
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
