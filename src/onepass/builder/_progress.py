"""Build progress and interruption: TensorRT runs in its own thread, so that Ctrl-C reaches the caller at once."""

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
    """Progress of a build: the fraction done, 0 … 1, and the current phases, outermost first."""

    fraction: float
    phases: tuple[str, ...]


Progress: TypeAlias = Callable[[Step], None]
"""Called during a build, from another thread; an exception ends the build."""


class Watch:
    """The state of one build: nested phases, as reported by TensorRT, and whether to go on."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._phases: list[list[Any]] = []  # name, steps done, steps in all
        self._stopped = threading.Event()
        self.error: BaseException | None = None

    def stop(self) -> None:
        """Make the build end at its next step."""
        self._stopped.set()

    def start(self, name: str, steps: int) -> None:
        """Record the start of a phase."""
        self._phases.append([name, 0, max(steps, 1)])
        self._tell()

    def step(self, name: str, step: int) -> bool:
        """Record a completed step of a phase; return whether to go on."""
        for phase in self._phases:
            if phase[0] == name:
                phase[1] = step + 1
        self._tell()
        return not self._stopped.is_set()

    def finish(self, name: str) -> None:
        """Record the end of a phase."""
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
        except BaseException as error:  # noqa: BLE001 - must not pass through TensorRT; raised again when it has ended
            self.error = error
            self.stop()


def make_monitor(flavor: Flavor, watch: Watch) -> Any:
    """Return an ``IProgressMonitor`` that reports to a watch."""
    module = flavor.module

    class Monitor(module.IProgressMonitor):  # type: ignore[misc,name-defined] # the base class is known only at run time
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)  # pybind11 requires an explicit call, not super()

        def phase_start(self, phase_name: str, _parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()


def run_stoppable(work: Callable[[], T], watch: Watch, *, stops: bool) -> T:
    """Run `work` in a thread with the caller's CUDA context, and return its result.

    On KeyboardInterrupt, `work` is told to stop. If it `stops` when told, wait for it; otherwise leave it running and
    discard its result.
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
        # Not Thread.join: up to Python 3.12, an interrupted join marks the thread as ended.
        while not ended.wait(_PAUSE_S):
            pass
    except BaseException:
        watch.stop()
        atexit.register(_leave, thread, ended)
        if stops and thread.ident is not None:  # it has started
            ended.wait()
        raise
    if watch.error is not None:
        raise watch.error
    if errors:
        raise errors[0]
    return results[0]


def _leave(thread: threading.Thread, ended: threading.Event) -> None:
    """Keep an abandoned build from calling Python while the interpreter shuts down, which crashes TensorRT."""
    if not ended.is_set():
        hold(thread).wait(_LAST_WORDS_S)
