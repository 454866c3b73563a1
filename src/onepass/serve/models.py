"""A server's models by name and version, each with its queue and its readiness."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, TypeAlias

from onepass._errors import InputError
from onepass._programs import usable_cores
from onepass.outputs import Array
from onepass.runtime import ModelSpec, Session, load
from onepass.serve.batcher import Batcher
from onepass.serve.canary import canary, has_rows, most_rows
from onepass.serve.datatypes import datatype_name, datatype_of
from onepass.serve.faults import Fault, Kind
from onepass.serve.limits import Limits
from onepass.serve.metrics import Metrics
from onepass.tensors import no_such_name, shape_text

Model: TypeAlias = str | os.PathLike[str] | ModelSpec | Session
"""A model file, a `ModelSpec`, or an open session, which the server does not close."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_PROVEN_S = 5.0
_CANARY_S = 5.0

log = logging.getLogger("onepass.serve")


class Served:
    """One version of a model.

    Attributes:
        name: The model's name.
        version: Its version, a whole number as text.
        session: The session that runs the model.
        signature: Its inputs and outputs.
        max_batch: Maximum rows per pass; 1 if requests are not batched.
        batcher: Its request queue.
        metrics: Its counters.
    """

    def __init__(self, name: str, version: str, session: Session, limits: Limits, metrics: Metrics) -> None:
        """Try the model with random inputs, and create its queue.

        Raises:
            UnsupportedModelError: An input or output has a dtype that the protocol does not support.
        """
        self.name = name
        self.version = version
        self.session = session
        self.signature = session.signature
        for spec in (*self.signature.inputs, *self.signature.outputs):
            datatype_of(spec)
        self._canary = canary(session, timeout=limits.timeout)
        self.max_batch = self._rows(limits)
        self.metrics = metrics.of(name, version)
        self.batcher = Batcher(session, limits, most_rows=self.max_batch, passes=_passes(session), observe=self._passed)
        self.metrics.watch_queue(lambda: self.batcher.waiting)
        self._proven = time.monotonic()
        self._trial: asyncio.Task[bool] | None = None

    def check_datatypes(self, inputs: Mapping[str, Array]) -> None:
        """Check dtypes, with the protocol's datatype names in the message; the session checks everything else.

        Raises:
            InputError: A dtype differs from the model's.
        """
        for spec in self.signature.inputs:
            array = inputs.get(spec.name)
            if array is not None and array.dtype != spec.dtype:
                raise InputError(
                    f"input {spec.name!r}: got {datatype_name(array.dtype)}, expected {datatype_name(spec.dtype)} "
                    f"{shape_text(spec.shape)}; dtypes are never converted"
                )

    async def is_ready(self) -> bool:
        """Whether the model works: a recent pass succeeded, or a pass with random inputs succeeds now.

        A model without usable random inputs counts as ready while its session is open.
        """
        if self.session.closed:
            return False
        if self._canary is None or time.monotonic() - self._proven < _PROVEN_S:
            return True
        if self._trial is None or self._trial.done():  # concurrent callers share one trial
            self._trial = asyncio.ensure_future(self._try())
        done, _ = await asyncio.wait([self._trial], timeout=_CANARY_S)
        return bool(done) and self._trial.result()

    async def _try(self) -> bool:
        try:
            await self.batcher.run(self._canary or {}, self.signature.output_names)
        except Exception as error:  # noqa: BLE001 - whatever a model raises, it is not ready
            log.warning("model %s, version %s, failed its readiness check: %s", self.name, self.version, error)
            return False
        return True

    def _passed(self, rows: int, seconds: float, worked: bool) -> None:
        self.metrics.passed(rows, seconds, worked=worked)
        if worked:
            self._proven = time.monotonic()

    def _rows(self, limits: Limits) -> int:
        if limits.max_batch == 1:
            return 1
        if self._canary is None:
            log.warning("%s: the model accepted no random inputs, so its requests are not batched", self.name)
            return 1
        if not has_rows(self.session, self._canary):
            log.info("%s: the model does not compute rows independently, so its requests are not batched", self.name)
            return 1
        return min(limits.max_batch, most_rows(self.session) or limits.max_batch)


class Models:
    """All models of a server; a context manager that closes the sessions it opened."""

    def __init__(self, models: Mapping[str, Model | Mapping[str, Model]], *, limits: Limits | None = None) -> None:
        """Open models.

        Args:
            models: Maps each name to a model, or to a mapping from version (``"1"``, ``"2"`` …) to model. Requests
                without a version go to the highest one.
            limits: Limits for requests and queues.

        Raises:
            InputError: A name or version is invalid, or `models` is empty.
            UnsupportedModelError: A model has a tensor with a dtype that the protocol does not support.
            ModelError, BackendError: See `onepass.load`.
        """
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self._served: dict[str, dict[str, Served]] = {}
        if not models:
            raise InputError("no model given; a server needs at least one")
        self._own: list[Session] = []
        self._is_open = True
        try:
            for name, each in models.items():
                versions = each if isinstance(each, Mapping) else {"1": each}
                self._served[name] = {}
                for version, model in sorted(versions.items(), key=lambda item: _number(name, item[0])):
                    self._served[name][version] = self._open(name, version, model)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Served]:
        return (served for versions in self._served.values() for served in versions.values())

    def find(self, name: str, version: str = "") -> Served:
        """Return a version of a model, by default the highest.

        Raises:
            Fault: The model or the version does not exist.
        """
        versions = self._served.get(name)
        if versions is None:
            raise Fault(Kind.UNKNOWN, no_such_name("model", name, tuple(self._served), owner="the server"))
        if not version:
            return next(reversed(versions.values()))
        if version not in versions:
            raise Fault(Kind.UNKNOWN, no_such_name("version", version, tuple(versions), owner=f"the model {name!r}"))
        return versions[version]

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model in ascending order."""
        return list(self._served[name])

    async def are_ready(self) -> bool:
        """Whether every model works."""
        return all(await asyncio.gather(*(served.is_ready() for served in self)))

    def close(self) -> None:
        """Stop running passes, as far as possible, and close the sessions opened here."""
        if not self._is_open:
            return
        self._is_open = False
        for session in self._own:
            session.stop("the server has stopped")
        for served in self:
            served.batcher.close()
        for session in self._own:
            session.close()

    def __enter__(self) -> Models:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, name: str, version: str, model: Model) -> Served:
        if not _NAME.fullmatch(name):
            raise InputError(f"invalid model name {name!r}: use letters, digits, '.', '_' and '-' (at most 128)")
        if isinstance(model, Session):
            session = model
        else:
            session = load(model)
            self._own.append(session)
        return Served(name, version, session, self.limits, self.metrics)


def opened(models: Models | Mapping[str, Model | Mapping[str, Model]], limits: Limits | None) -> tuple[Models, bool]:
    """Return open models, and whether they were opened here.

    Raises:
        InputError: `limits` is given, but the models are open already and have their own.
        OnepassError: See `Models`.
    """
    if not isinstance(models, Models):
        return Models(models, limits=limits), True
    if limits is not None:
        raise InputError("limits= cannot be combined with open models, which have their own; pass it to Models(…)")
    return models, False


def _passes(session: Session) -> int:
    """Return how many passes run concurrently: as many as the model supports.

    On the CPU, one core stays free for the event loop; if passes occupied it, fewer requests would join a batch.
    """
    on_cpu = session.report().get("device") == "cpu"
    return max(1, min(session.concurrency, usable_cores() - 1)) if on_cpu else session.concurrency


def _number(name: str, version: Any) -> int:
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise InputError(f"model {name!r}: a version must be a whole number ≥ 1, as text; got {version!r}")
    return int(version)
