"""Measure models side by side."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass._version import __version__
from onepass.bench._inputs import batch_inputs, batch_of, size_of_batch
from onepass.bench._measure import Patience, Timing, time_callers, time_calls
from onepass.bench._opening import Opening, measure_opening
from onepass.bench._statistics import Latency, Ratio, doubts, milliseconds, ratio_of
from onepass.opening import ModelChoice, runnable
from onepass.outputs import Array
from onepass.runtime import ModelSpec, Session
from onepass.sampling import explained
from onepass.tensors import name_tuple

_PROFILED = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One model at one batch size and number of calling threads.

    Attributes:
        model: The model's label.
        batch: Items per call.
        callers: Threads that call concurrently.
        latency: Seconds per call.
        throughput: Items per second, over all callers.
        ratio: Time relative to the first model, for the same batch and callers; None for the first model itself.
        device: Median milliseconds of the parts of a call, where the backend measures them: ``gpu_compute_ms``,
            ``h2d_ms``, ``d2h_ms`` and ``enqueue_ms``. trtexec calls them GPU compute time, H2D latency, D2H latency and
            enqueue time.
        doubts: Reasons to distrust the figures, each as ``kind: detail``; empty is good.
    """

    model: str
    batch: int
    callers: int
    latency: Latency
    throughput: float
    ratio: Ratio | None
    device: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        ratio = None if self.ratio is None else {"value": self.ratio.value, "low": self.ratio.low,
                                                 "high": self.ratio.high}  # fmt: skip
        return {
            "model": self.model, "batch": self.batch, "callers": self.callers, **milliseconds(self.latency),
            "throughput_per_second": self.throughput, "ratio": ratio, "device": dict(self.device),
            "doubts": list(self.doubts),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The result of `bench`.

    Attributes:
        rows: One row per model, batch size and number of callers.
        openings: The cost of opening each model, by label; only models that were given as files are in it.
        reports: The sessions' own reports on what runs each model, by label.
        machine: Processor, cores, system and versions.
        doubts: Reasons to distrust all figures, such as a busy machine; each as ``kind: detail``.
    """

    rows: tuple[Row, ...]
    openings: Mapping[str, Opening]
    reports: Mapping[str, Mapping[str, Any]]
    machine: Mapping[str, Any]
    doubts: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """The models' labels, in the given order."""
        return tuple(self.reports)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "machine": dict(self.machine),
            "models": [
                {"model": name, **report, **(self.openings[name].to_json() if name in self.openings else {})}
                for name, report in self.reports.items()
            ],
            "rows": [row.to_json() for row in self.rows],
            "doubts": list(self.doubts),
        }


def bench(
    models: Iterable[Any],
    *,
    batches: Iterable[int] = (1,),
    threads: Iterable[int | None] = (None,),
    callers: Iterable[int] = (1,),
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    inputs: Mapping[str, Array] | None = None,
    outputs: Iterable[str] | None = None,
    seconds: float = 5.0,
    spread: float = 0.01,
    warm_up_seconds: float = 0.5,
    processes: int = 3,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Measure models side by side. They take turns, so other load on the machine affects all of them alike.

    Args:
        models: Paths, bytes, graphs, sessions or `ModelChoice`; all others are compared with the first.
        batches: Batch sizes: values of the dynamic batch dimension (`sampling.batch_names`).
        threads: CPU threads per call, for models that are opened here; each number is a separate model in the result.
            None lets onepass choose.
        callers: Numbers of threads that call concurrently.
        sizes: Sizes of other dynamic dimensions, by name.
        shapes: Complete shapes of inputs, by name, also for dimensions without a name; excludes `batches`.
        inputs: Arrays to use in place of random inputs; they determine the batch size.
        outputs: Request only these outputs.
        seconds: Time limit per batch size and number of callers, over all models.
        spread: Stop early when the 95 % interval of every median is within this fraction of the median.
        warm_up_seconds: Duration of the calls made before the measurement.
        processes: Fresh processes in which each model is opened, to measure cold start and memory; 0 for none.
        seed: Seed of the random inputs and of the resampling.
        progress: Called with a line of text before each step.

    Raises:
        InputError: No model is given, two models have the same label, or a batch size does not fit.
        ModelError, BackendError: A model does not open or run.
    """
    choices = _contenders(models, tuple(threads))
    chosen = None if outputs is None else name_tuple(outputs)
    batches, callers = _positive("batches", batches), _positive("callers", callers)
    if shapes and batches != (1,):
        raise InputError("shapes= already determines the batch size; omit batches=")
    drawn: dict[str, Any] = {"sizes": sizes or {}, "shapes": shapes or {}}
    if inputs is not None:
        drawn["shapes"] = {name: array.shape for name, array in inputs.items()}
    patience = Patience(seconds, spread, warm_up_seconds)
    tell = progress or (lambda _: None)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    with ExitStack() as stack:
        choices = [_resolved(choice, stack) for choice in choices]
        openings = _openings(choices, batches[0], {**drawn, "outputs": chosen}, processes, tell)
        sessions = {str(choice): stack.enter_context(choice.opened()) for choice in choices}
        said = size_of_batch(next(iter(sessions.values())).signature, drawn["sizes"])
        if said is not None and batches != (1,):
            raise InputError("sizes= already determines the batch size; omit batches=")
        rows: list[Row] = []
        for wanted in (1,) if inputs is not None else batches:
            feeds = {
                name: batch_inputs(session.signature, wanted, seed=seed, **drawn) if inputs is None else inputs
                for name, session in sessions.items()
            }
            batch = wanted if said is None else said
            if drawn["shapes"]:
                batch = batch_of(next(iter(feeds.values())))
            for count in callers:
                tell(f"batch {batch}, {count} caller(s)")
                for name, session in sessions.items() if inputs is None else ():
                    with explained(session.signature, feeds[name]):
                        session(feeds[name], outputs=chosen)
                calls = [partial(session, feeds[name], outputs=chosen) for name, session in sessions.items()]
                rows.extend(_rows(sessions, feeds, calls, batch, count, patience, seed))
        reports = {name: session.report() for name, session in sessions.items()}
    return Benchmark(tuple(rows), openings, reports, machine(), tuple(_busy(load)))


def _contenders(models: Iterable[Any], threads: tuple[int | None, ...]) -> list[ModelChoice]:
    chosen = []
    for model in models:
        choice = model if isinstance(model, ModelChoice) else ModelChoice(model)
        for count in threads:
            if count is None or isinstance(choice.model, Session):
                chosen.append(choice)
            else:
                label = f"{choice}{',' if choice.options() else '@'}threads={count}"
                chosen.append(replace(choice, threads=count, label=label))
    if not chosen:
        raise InputError("no model to measure; give at least one")
    labels = [str(choice) for choice in chosen]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} is given twice; tell the two apart with ModelChoice(model, label=...)")
    return chosen


def _positive(name: str, values: Iterable[int]) -> tuple[int, ...]:
    checked = tuple(dict.fromkeys(values))
    if not checked or any(value < 1 for value in checked):
        raise InputError(f"{name} must be whole numbers ≥ 1, got {list(checked)}")
    return checked


def _resolved(choice: ModelChoice, stack: ExitStack) -> ModelChoice:
    """Convert a model once, for this process and for those that measure its opening."""
    if isinstance(choice.model, Session):
        return choice
    return choice.of(stack.enter_context(runnable(choice.unopened, trust=choice.trust)))


def _openings(
    choices: Sequence[ModelChoice], batch: int, called: dict[str, Any], processes: int, tell: Callable[[str], None]
) -> dict[str, Opening]:
    found = {}
    for choice in choices:
        if processes > 0 and isinstance(choice.model, ModelSpec):
            tell(f"{choice}: cold start")
            found[str(choice)] = measure_opening(choice.model, batch=batch, processes=processes, **called)
    return found


def _rows(
    sessions: Mapping[str, Session],
    feeds: Mapping[str, Mapping[str, Array]],
    calls: Sequence[Callable[[], object]],
    batch: int,
    callers: int,
    patience: Patience,
    seed: int,
) -> list[Row]:
    if callers == 1:
        timings = time_calls(calls, patience, seed=seed)
    else:
        timings = time_callers(calls, callers, patience, seed=seed)
    rows: list[Row] = []
    for (name, session), timing in zip(sessions.items(), timings, strict=True):
        ratio = None if not rows else ratio_of(timing.rounds, timings[0].rounds, seed=seed)
        device = _device_times(session, feeds[name]) if callers == 1 else {}
        rows.append(Row(name, batch, callers, Latency.of(timing.seconds), _throughput(timing, batch), ratio, device,
                        tuple(doubts(timing.seconds))))  # fmt: skip
    return rows


def _throughput(timing: Timing, batch: int) -> float:
    return batch / float(timing.rounds.mean())


def _device_times(session: Session, feeds: Mapping[str, Array]) -> dict[str, float]:
    """Return medians of the backend's own times of a call; empty if the backend measures none."""
    profile = getattr(session, "profile", None)
    first = None if profile is None else profile(feeds)
    if profile is None or not first:
        return {}
    found = [first, *(profile(feeds) for _ in range(_PROFILED - 1))]
    return {key: float(np.median([each[key] for each in found])) for key in first}


def _busy(load: float) -> list[str]:
    cores = os.cpu_count() or 1
    if load > 0.5 * cores:
        return [f"busy machine: the load average was {load:.1f} on {cores} cores before the measurement"]
    return []


def machine() -> dict[str, Any]:
    """Describe the machine: a figure means nothing without it."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "onepass": __version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
