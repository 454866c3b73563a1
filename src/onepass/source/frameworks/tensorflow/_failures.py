"""Convert TensorFlow's errors to errors about a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from onepass._errors import ModelFormatError, UnsupportedModelError


@contextmanager
def told(source: Path) -> Iterator[None]:
    """Convert TensorFlow's errors for damaged files to errors that name the file."""
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        if "Op type not registered" in str(error):
            raise UnsupportedModelError(
                f"{source} has an operator that TensorFlow does not have: {_brief(error)}"
            ) from error
        raise ModelFormatError(f"{source} is damaged or incomplete: {_brief(error)}") from error
    except (ValueError, KeyError) as error:
        raise UnsupportedModelError(f"TensorFlow {tf.__version__} cannot load {source}: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    return (str(getattr(error, "message", "")) or str(error)).strip().splitlines()[0][:400]
