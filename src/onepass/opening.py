"""Open any model that a user names, on any backend; models of training frameworks are converted first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onepass._errors import InputError, UnsupportedModelError
from onepass.formats import RUNNABLE, format_of
from onepass.runtime import ModelSpec, Session, load
from onepass.source import convert


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model, and how to open it.

    Attributes:
        model: Path, `ModelSpec`, bytes, graph, or an open session.
        provider: ONNX Runtime execution provider, for ONNX models; None means the spec's provider, or the CPU.
        threads: CPU threads per call, for ONNX models.
        label: Name in tables.
        trust: Whether to convert a model that contains code, which runs it; see `onepass.convert`.
    """

    model: Any
    provider: str | None = None
    threads: int | None = None
    label: str = ""
    trust: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"{self}: threads must be a whole number ≥ 1, got {self.threads}")

    def __str__(self) -> str:
        if self.label:
            return self.label
        if isinstance(self.model, Session):
            return self.model.name
        if isinstance(self.model, (str, Path, ModelSpec)):
            return str(self.model)
        return f"a {type(self.model).__name__}"

    @classmethod
    def parse(cls, word: str) -> ModelChoice:
        """Read ``PATH`` or ``PATH@OPTION,…``: ``elg.onnx@cuda,threads=4``; see `ModelSpec.parse`.

        Raises:
            InputError: An unknown option follows the ``@``.
        """
        spec = ModelSpec.parse(word)
        names = [each for each in spec.providers or () if isinstance(each, str)]
        rest = replace(spec, threads=None, providers=None if len(names) == 1 else spec.providers)
        return cls(
            rest if rest.options() else spec.path, names[0] if len(names) == 1 else None, spec.threads, label=word
        )

    @property
    def unopened(self) -> Any:
        """The model itself, without its options."""
        return self.model.path if isinstance(self.model, ModelSpec) else self.model

    def options(self) -> dict[str, Any]:
        """Return the model's options as keyword arguments of `onepass.load`."""
        options = self.model.options() if isinstance(self.model, ModelSpec) else {}
        if self.provider is not None:
            options["providers"] = (self.provider,)
        if self.threads is not None:
            options["threads"] = self.threads
        return options

    def of(self, model: Any) -> ModelChoice:
        """Return a choice of another model with the same options and label."""
        if isinstance(model, (str, Path)):
            return ModelChoice(ModelSpec(str(Path(model).absolute()), **self.options()), label=str(self))
        return replace(self, model=model, label=str(self))

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """Open the model, and close it at the end of the block; a given session stays open.

        Raises:
            ModelError, BackendError: See `onepass.load`.
            UnsupportedModelError: The model must be converted first, but is given as bytes.
        """
        if isinstance(self.model, Session):
            yield self.model
            return
        with runnable(self.unopened, trust=self.trust) as model, load(model, **self.options()) as session:
            yield session


@contextmanager
def runnable(model: Any, *, trust: bool = False) -> Iterator[Any]:
    """Yield a model that `onepass.load` can open: the model itself, or a temporary ONNX file converted from it.

    Args:
        model: See `ModelChoice.model`.
        trust: Whether to convert a model that contains code.

    Raises:
        UntrustedModelError: The model contains code, and `trust` is false.
        ModelError: The model comes from a training framework and cannot be converted.
        MissingExtraError: The framework is not installed.
    """
    if not isinstance(model, (str, Path, bytes)) or format_of(model) in RUNNABLE:
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="onepass-") as folder:
        target = Path(folder, "converted.onnx")
        _convert(model, target, trust=trust)
        yield target


def _convert(model: str | Path | bytes, target: Path, *, trust: bool) -> None:
    kind = format_of(model).value
    if isinstance(model, bytes):
        raise UnsupportedModelError(f"the byte string is {kind}, which can only be converted from a file; pass a path")
    convert(model, target, trust=trust)
