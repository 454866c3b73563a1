"""Suppress PyTorch's messages while it works, and shorten its errors."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_LOGGERS = ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")


@contextmanager
def quiet() -> Iterator[None]:
    """Compute without gradients, as the exporter does, and suppress PyTorch's messages."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    # Transformers have a fast path that returns zeros for masked elements, and that exporters do not support.
    shortcut = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(shortcut)
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def gist(error: BaseException) -> str:
    """Return the error's type and the first line of its message; the rest is for PyTorch developers."""
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", str(error)).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:400]
