"""Open whatever a user names: a model on a backend of their choice, converted first where it is no model yet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onepass._errors import InputError, UnsupportedModelError
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph
from onepass.runtime import Session, load
from onepass.source import convert

_RUNS = (Format.ONNX, Format.ORT, Format.ENGINE)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model, and how to open it.

    Attributes:
        model: Path, bytes, graph, or a session that is open already.
        provider: ONNX Runtime execution provider, for ONNX models; the CPU where None.
        threads: CPU threads of one call, for ONNX models.
        label: What to call it in tables.
    """

    model: Any
    provider: str | None = None
    threads: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"{self}: threads is a whole number from 1 up, got {self.threads}")

    def __str__(self) -> str:
        if self.label:
            return self.label
        if isinstance(self.model, Session):
            return self.model.name
        return str(self.model) if isinstance(self.model, (str, Path)) else f"a {type(self.model).__name__}"

    @classmethod
    def parse(cls, word: str) -> ModelChoice:
        """Read ``PATH`` or ``PATH@PROVIDER,threads=COUNT``: ``elg.onnx@cuda``, ``elg.onnx@threads=4``.

        Raises:
            InputError: What follows the ``@`` is neither.
        """
        path, mark, words = word.rpartition("@")
        if not mark or Path(word).exists():
            return cls(word, label=word)
        provider, threads = None, None
        for option in words.split(","):
            key, equals, value = option.partition("=")
            if not equals and key:
                provider = key
            elif key == "threads" and value.isascii() and value.isdigit():
                threads = int(value)
            else:
                raise InputError(
                    f"{word!r}: {option!r} is neither a provider nor a number of threads; expected MODEL, MODEL@cuda, "
                    "MODEL@threads=4 or MODEL@cuda,threads=4"
                )
        return cls(path, provider, threads, label=word)

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """Open the model, and close it again at the end; a session that is given stays open.

        Raises:
            ModelError, BackendError: As `onepass.load` raises them.
            UnsupportedModelError: It has to be converted first, and that is not possible here.
        """
        if isinstance(self.model, Session):
            yield self.model
            return
        with runnable(self.model) as model:
            options: dict[str, Any] = {}
            if self.provider is not None:
                options["providers"] = (self.provider,)
            if self.threads is not None:
                options["threads"] = self.threads
            with load(model, **options) as session:
                yield session


@contextmanager
def runnable(model: Any) -> Iterator[Any]:
    """Yield a model that `onepass.load` opens: the model itself, or the ONNX file it is converted to meanwhile.

    Raises:
        ModelError: It is a model of a training framework, and cannot be converted.
        MissingExtraError: The framework is not installed.
    """
    if isinstance(model, OnnxGraph) or not isinstance(model, (str, Path, bytes)) or format_of(model) in _RUNS:
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="onepass-") as folder:
        target = Path(folder, "converted.onnx")
        _convert(model, target)
        yield target


def _convert(model: str | Path | bytes, target: Path) -> None:
    kind = format_of(model).value
    if isinstance(model, bytes):
        raise UnsupportedModelError(f"the bytes given are {kind}, which is converted from a file only; give its path")
    convert(model, target)
