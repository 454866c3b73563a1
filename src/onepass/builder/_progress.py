"""Follow a build, and stop it: TensorRT works in a thread of its own, so that Ctrl-C reaches the caller at once."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

from onepass.builder._gpu import current_context, use_context
from onepass.engine.flavor import Flavor
from onepass.engine.log import hold, stay_if_held

T = TypeVar("T")

_PAUSE_S, _LAST_WORDS_S = 0.1, 2.0


class Step(NamedTuple):
    """How far a build has come: the share that is done, 0 … 1, and what it is at, from the outermost phase in."""

    fraction: float
    phases: tuple[str, ...]


Progress: TypeAlias = Callable[[Step], None]
"""Called now and then while an engine is built, from another thread; what it raises ends the build."""


class Watch:
    """The state of one build: phases within phases, as TensorRT reports them, and whether it shall go on."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._phases: list[list[Any]] = []  # name, steps done, steps in all
        self._stopped = threading.Event()
        self.error: BaseException | None = None

    def stop(self) -> None:
        """Let the build end at its next step."""
        self._stopped.set()

    def start(self, name: str, steps: int) -> None:
        """Take note that a phase begins."""
        self._phases.append([name, 0, max(steps, 1)])
        self._tell()

    def step(self, name: str, step: int) -> bool:
        """Take note that a step of a phase is done; return whether to go on."""
        for phase in self._phases:
            if phase[0] == name:
                phase[1] = step + 1
        self._tell()
        return not self._stopped.is_set()

    def finish(self, name: str) -> None:
        """Take note that a phase has ended."""
        self._phases = [phase for phase in self._phases if phase[0] != name]
        self._tell()

    def _tell(self) -> None:
        stay_if_held()
        if self._progress is None or self._stopped.is_set():
            return
        fraction, share = 0.0, 1.0
        for _, done, steps in self._phases:
            fraction += share * min(done / steps, 1.0)
            share /= steps
        try:
            self._progress(Step(min(fraction, 1.0), tuple(phase[0] for phase in self._phases)))
        except BaseException as error:  # noqa: BLE001 - it must not pass through TensorRT; it is raised when that is done
            self.error = error
            self.stop()


def make_monitor(flavor: Flavor, watch: Watch) -> Any:
    """Return an ``IProgressMonitor`` that reports to a watch."""
    module = flavor.module

    class Monitor(module.IProgressMonitor):  # type: ignore[misc,name-defined] # the base is known at run time only
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)  # pybind11 wants its own base called, not super()

        def phase_start(self, phase_name: str, _parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()


def run_stoppable(work: Callable[[], T], watch: Watch, *, stops: bool) -> T:
    """Run `work` in a thread with the caller's CUDA context, and return what it returns.

    A KeyboardInterrupt ends the waiting: the work is told to stop, and waited for, if it `stops` when told; otherwise
    it is left to itself, and its result thrown away.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    context = current_context()
    ended = threading.Event()

    def run() -> None:
        try:
            use_context(context)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="onepass-build", daemon=True)
    try:
        thread.start()
        # Not Thread.join: up to Python 3.12 a thread whose join was interrupted is taken for one that has ended.
        while not ended.wait(_PAUSE_S):
            pass
    except BaseException:
        watch.stop()
        atexit.register(_leave, thread, ended)
        if stops and thread.ident is not None:  # it has begun
            ended.wait()
        raise
    if watch.error is not None:
        raise watch.error
    if errors:
        raise errors[0]
    return results[0]


def _leave(thread: threading.Thread, ended: threading.Event) -> None:
    """Keep a build that was left to itself out of Python when that ends, which TensorRT does not survive."""
    if not ended.is_set():
        hold(thread).wait(_LAST_WORDS_S)
