"""What TensorFlow raises, told as what is wrong with a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from onepass._errors import ModelFormatError, UnsupportedModelError


@contextmanager
def told(source: Path) -> Iterator[None]:
    """Turn what TensorFlow raises over damaged files into an error that says which file it is."""
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        if "Op type not registered" in str(error):
            raise UnsupportedModelError(
                f"{source} has an operator that is not TensorFlow's: {_brief(error)}"
            ) from error
        raise ModelFormatError(f"{source} is damaged, or a part of it is missing: {_brief(error)}") from error
    except (ValueError, KeyError) as error:
        raise UnsupportedModelError(f"TensorFlow {tf.__version__} cannot load {source}: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    return (str(getattr(error, "message", "")) or str(error)).strip().splitlines()[0][:400]
