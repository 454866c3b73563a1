"""Process parts on a Ray cluster: Ray Data starts the workers, distributes parts, and retries lost ones."""

from __future__ import annotations

import json
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from onepass._errors import BackendError, DeviceError, InputError
from onepass._optional import optional
from onepass.artifacts import path_tuple
from onepass.batch._failures import error_of
from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch._on_ray import Count, PartOnRay
from onepass.batch._worker import Terms
from onepass.batch.manifest import PartRecord
from onepass.formats import Format, format_of

_PURPOSE = "A batch on a Ray cluster"
_RESTARTS = 4  # of a lost worker; then the job fails
_TRIES = 1000  # to reach a worker while it is being replaced
_LOOK_S = 0.5
# Each part yields one line; Ray's own reports go to its dashboard.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def do_on_ray(
    job: Job,
    folder: Path,
    parts: Sequence[Part],
    told: Callable[[int, int], None],
    terms: Terms,
    *,
    address: str | None,
) -> Iterator[PartRecord]:
    """Process parts, and yield the record of each finished part.

    Every machine must see the inputs and the folder under the same paths. Each worker takes a GPU if the model runs on
    one. One CPU stays free for Ray, which hangs without one.

    Args:
        job: The job.
        folder: The output folder.
        parts: The parts.
        told: Called with the numbers of rows done and of errors.
        terms: The number of processes, 0 for as many as the cluster has room for; and their settings.
        address: Address of the cluster; None for the one this process is connected to, or a new local one.

    Raises:
        InputError: The cluster has no room for this many workers.
        DeviceError: The cluster has too few GPUs.
        BackendError: No row was finished for too long, or Ray failed.
        OnepassError, OSError: The error of the first part that failed.
    """
    with _connected(address) as ray:
        share = share_of(job.model)
        workers = _workers(ray.cluster_resources(), share, terms.workers, len(parts))
        nodes = sum(1 for node in ray.nodes() if node["Alive"])
        local = replace(terms, workers=-(-workers // nodes))
        counter = _counter(ray)
        data = ray.data.from_items([{"part": json.dumps(part.to_json())} for part in parts],
                                   override_num_blocks=len(parts))  # fmt: skip
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`ray_remote_args")  # Ray has no other way yet
            done = data.map_batches(
                PartOnRay, batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
                fn_constructor_args=(_elsewhere(job, share).to_json(), str(folder.absolute()), asdict(local), counter),
                ray_remote_args_fn=_retries, num_cpus=share.get("num_cpus"), num_gpus=share.get("num_gpus"),
            )  # fmt: skip
        yield from _Watch(ray, counter, told, terms.patience_s).records(done)


def share_of(model: Any) -> dict[str, float]:
    """Return the resources of a worker: GPUs if the model runs on them, otherwise one CPU.

    Raises:
        InputError: The device is "all"; Ray assigns GPUs by number.
    """
    if model.device == "all":
        raise InputError(
            "on a Ray cluster, device sets the number of GPUs per worker: device=0 for one, device=(0, 1) for two"
        )
    several = len(model.device) if isinstance(model.device, tuple) else 1
    names = [one if isinstance(one, str) else one[0] for one in model.providers or ()]
    on_gpu = model.device is not None or any(word in name.lower() for name in names for word in ("cuda", "tensorrt"))
    if on_gpu or format_of(model.path) is Format.ENGINE:
        return {"num_gpus": several}
    return {"num_cpus": 1}


def _elsewhere(job: Job, share: Mapping[str, float]) -> Job:
    """Return the job for a worker: it runs in another folder, and its GPUs are numbered from 0."""
    spec = job.model
    count = int(share.get("num_gpus", 0))
    plugins = () if spec.plugins is None else path_tuple(spec.plugins, what="plugins")
    spec = replace(
        spec, path=_absolute(spec.path), weights=None if spec.weights is None else _absolute(spec.weights),
        plugins=tuple(map(_absolute, plugins)) or None,
        device=spec.device if spec.device is None else 0 if count == 1 else tuple(range(count)),
    )  # fmt: skip
    return replace(job, model=spec)


def _absolute(path: str | os.PathLike[str]) -> str:
    return str(Path(path).absolute())


def _workers(resources: Mapping[str, float], share: Mapping[str, float], wanted: int, parts: int) -> int:
    """Return the number of workers."""
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    if "num_gpus" in share:
        each = int(share["num_gpus"])
        if gpus < each * max(wanted, 1):
            raise DeviceError(
                f"{max(wanted, 1)} worker(s) need {each * max(wanted, 1)} GPU(s), but the Ray cluster has {gpus}"
            )
        most = gpus // each
    else:
        most = max(cpus - 1, 0)
        if most < max(wanted, 1):
            raise InputError(
                f"workers={max(wanted, 1)} would take all {cpus} CPU(s) of the Ray cluster, but Ray needs one itself; "
                f"{'use at most workers=' + str(most) if most else 'start the cluster with at least two'}"
            )
    return min(wanted or most, parts)


def _retries() -> dict[str, int]:
    """Return the limits for restarting lost workers, which by default is unlimited."""
    return {"max_restarts": _RESTARTS, "max_task_retries": _TRIES}


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or start one, unless this process is connected already."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    ray = optional("ray", extra="batch", purpose=_PURPOSE)
    optional("ray.data", extra="batch", purpose=_PURPOSE)
    ours = not ray.is_initialized()
    if ours:
        where: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **where)
        except (ConnectionError, ValueError, RuntimeError) as error:
            attempt = f"connect to a Ray cluster at {address}" if address else "start a Ray cluster on this machine"
            raise BackendError(f"cannot {attempt}: {error}") from error
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        context.enable_progress_bars = bars
        log.setLevel(level)
        if ours:
            ray.shutdown()


def _counter(ray: Any) -> Any:
    """Start the counter on this machine, which lives as long as the job."""
    affinity = optional("ray.util.scheduling_strategies", extra="batch", purpose=_PURPOSE)
    here = affinity.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Count).options(num_cpus=0, scheduling_strategy=here).remote()


class _Watch:
    """Collect a data set's results, and notice when no more arrive."""

    def __init__(self, ray: Any, counter: Any, told: Callable[[int, int], None], patience_s: float) -> None:
        self._ray, self._counter, self._told, self._patience_s = ray, counter, told, patience_s
        self._answers: SimpleQueue[str | BaseException | None] = SimpleQueue()
        self._seen, self._life = (0, 0), monotonic()

    def records(self, data: Any) -> Iterator[PartRecord]:
        """Yield records as they arrive, and report rows; fail if neither arrives for too long."""
        threading.Thread(target=self._collect, args=(data,), name="onepass-batch-ray", daemon=True).start()
        while (answer := self._next()) is not None:
            found = json.loads(answer)
            if "failed" in found:
                raise error_of(found)
            yield PartRecord(**found["done"])
        self._look()

    def _collect(self, data: Any) -> None:
        try:
            for row in data.iter_rows():
                self._answers.put(row["answer"])
            self._answers.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in `_next`
            self._answers.put(error)

    def _next(self) -> str | None:
        while True:
            try:
                answer = self._answers.get(timeout=_LOOK_S)
            except Empty:
                self._look()
                continue
            self._look(alive=True)
            if isinstance(answer, BaseException):
                raise BackendError(f"Ray failed: {_last_line(answer)}") from answer
            return answer

    def _look(self, *, alive: bool = False) -> None:
        """Report the rows done since the last call."""
        rows, errors = self._ray.get(self._counter.so_far.remote())
        if (rows, errors) != self._seen:
            self._told(rows - self._seen[0], errors - self._seen[1])
            self._seen, alive = (rows, errors), True
        if alive:
            self._life = monotonic()
        elif monotonic() - self._life > self._patience_s:
            raise BackendError(_standstill(self._ray, self._patience_s))


def _standstill(ray: Any, patience_s: float) -> str:
    there, free = ray.cluster_resources(), ray.available_resources()
    listed = ", ".join(f"{name} {free.get(name, 0):g} of {there.get(name, 0):g} free" for name in ("CPU", "GPU"))
    return (
        f"the Ray cluster finished no row for {patience_s:g} s ({listed}): other jobs may hold the resources, or a "
        "machine may be lost. Finished parts stay; continue with resume=True"
    )


def _last_line(error: BaseException) -> str:
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
