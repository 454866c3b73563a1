"""Open whatever a user names: a model on a backend of their choice, converted first where it is no model yet."""

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
        model: Path, `ModelSpec`, bytes, graph, or a session that is open already.
        provider: ONNX Runtime execution provider, for ONNX models; the spec's, or the CPU, where None.
        threads: CPU threads of one call, for ONNX models.
        label: What to call it in tables.
        trust: Whether to convert it where it is a program, which runs what is in it; see `onepass.convert`.
    """

    model: Any
    provider: str | None = None
    threads: int | None = None
    label: str = ""
    trust: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"{self}: threads is a whole number from 1 up, got {self.threads}")

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
            InputError: What follows the ``@`` is no option.
        """
        spec = ModelSpec.parse(word)
        names = [each for each in spec.providers or () if isinstance(each, str)]
        rest = replace(spec, threads=None, providers=None if len(names) == 1 else spec.providers)
        return cls(
            rest if rest.options() else spec.path, names[0] if len(names) == 1 else None, spec.threads, label=word
        )

    @property
    def unopened(self) -> Any:
        """The model itself, without how to open it."""
        return self.model.path if isinstance(self.model, ModelSpec) else self.model

    def options(self) -> dict[str, Any]:
        """Return how to open it, as keyword arguments of `onepass.load`."""
        options = self.model.options() if isinstance(self.model, ModelSpec) else {}
        if self.provider is not None:
            options["providers"] = (self.provider,)
        if self.threads is not None:
            options["threads"] = self.threads
        return options

    def of(self, model: Any) -> ModelChoice:
        """Return another model to be opened in the same way under the same label."""
        if isinstance(model, (str, Path)):
            return ModelChoice(ModelSpec(str(Path(model).absolute()), **self.options()), label=str(self))
        return replace(self, model=model, label=str(self))

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
        with runnable(self.unopened, trust=self.trust) as model, load(model, **self.options()) as session:
            yield session


@contextmanager
def runnable(model: Any, *, trust: bool = False) -> Iterator[Any]:
    """Yield a model that `onepass.load` opens: the model itself, or the ONNX file it is converted to meanwhile.

    Args:
        model: What `ModelChoice.model` may be.
        trust: Whether to convert it where it is a program.

    Raises:
        UntrustedModelError: It is a program, and nobody says that it can be trusted.
        ModelError: It is a model of a training framework, and cannot be converted.
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
        raise UnsupportedModelError(f"the bytes given are {kind}, which is converted from a file only; give its path")
    convert(model, target, trust=trust)
