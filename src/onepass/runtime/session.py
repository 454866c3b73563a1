"""Session: one model, ready to run. It checks inputs, calls the backend, and names the outputs."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from onepass._errors import InputError, SessionClosedError
from onepass.outputs import Array, Outputs
from onepass.runtime import _life
from onepass.runtime._background import Background, Work
from onepass.runtime._gate import Gate
from onepass.runtime._inputs import InputChecker
from onepass.runtime._targets import check_out, fill, full_shapes
from onepass.runtime.backend import Backend, completed
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.tensors import Signature

if TYPE_CHECKING:
    from onepass.engine.layers import TimedLayer


class Session:
    """A model that is ready to run, opened by `onepass.load`.

    Any number of threads may call a session concurrently.

    Example::

        with onepass.load("elg.onnx") as session:
            outputs = session(eye=eyes)       # by keyword
            outputs = session({"eye": eyes})  # by mapping: for names such as "x:0", "out" or "outputs"
            outputs = session(eyes)           # the only input needs no name
    """

    def __init__(self, backend: Backend, *, name: str = "model") -> None:
        """Create a session for a backend; the session owns the backend and closes it.

        Args:
            backend: The backend that computes.
            name: Name of the model in messages; `onepass.load` passes the path.
        """
        self.name = name
        self.signature: Signature = backend.signature
        self._backend = backend = completed(backend)
        self._check = InputChecker(self.signature, import_streams=backend.import_streams, place=backend.place)
        self.concurrency: int = backend.concurrency  # calls that run concurrently; further calls wait
        self._output_names = self.signature.output_names
        self._gate = Gate()
        self._lock = threading.Lock()
        self._background: Background | None = None
        self._unusable = f"the session of {name} is closed; open the model again with onepass.load"
        _life.register(self)

    def __repr__(self) -> str:
        state = "closed" if self.closed else ", ".join(self._output_names)
        return f"<onepass.Session {self.name}: {state}>"

    def __call__(
        self,
        inputs: Mapping[str, Any] | Any = None,
        /,
        *,
        outputs: Iterable[str] | None = None,
        out: Mapping[str, Array] | None = None,
        copy: bool = False,
        timeout: float | None = None,
        **named: Any,
    ) -> Outputs:
        """Run the model once.

        If the model runs on a GPU, inputs may be GPU arrays of PyTorch, CuPy, JAX or Numba. If any input is, the
        outputs stay on the GPU, too: each is a `DeviceArray`, which these libraries accept without a copy.

        Args:
            inputs: A mapping from input name to array, or the array itself if the model has a single input.
            outputs: Names of the outputs to compute; other outputs are not computed. All inputs are required
                nevertheless. Default: all outputs.
            out: Arrays to fill, by output name; the result contains them instead of new arrays. They must have the
                exact dtype and shape of the output.
            copy: Return arrays in memory of their own. By default, an engine's results are in page-locked memory, which
                is reused after the last array on it is gone; this is faster, and just as safe.
            timeout: Seconds after which the run is stopped, for models with loops that may not end. ONNX Runtime stops
                between two nodes. Its frozen passes on a GPU cannot be stopped, but the call fails if one took too
                long. Engines do not support it.
            named: Inputs by keyword.

        Returns:
            The outputs in the model's own order. The arrays belong to the caller; later calls never overwrite them.

        Raises:
            InputError: An array has the wrong name, dtype, rank or size; the message says which and what to do.
            OutputNameError: The model has no output with a name in `outputs` or `out`.
            BackendError: The computation failed.
            RunTimeoutError: The run took longer than `timeout` seconds.
            ModelFormatError: The first call for these `outputs` must read the model file again, and it has changed.
            SessionClosedError: The session is closed.
        """
        with self._gate.inside():
            self._require_open()
            feeds = self._check(named if inputs is None else self._by_name(inputs, named))
            names = self._output_names if outputs is None else self._wanted(outputs)
            if out is not None:
                check_out(out, names, self.signature)
            return self._run(feeds, names, out, copy, timeout)

    def submit(
        self,
        inputs: Mapping[str, Any] | Any = None,
        /,
        *,
        outputs: Iterable[str] | None = None,
        **named: Any,
    ) -> Future[Outputs]:
        """Run the model in the background; the arguments are those of a call, without `out` and `timeout`.

        The inputs are checked and copied before this method returns, so the caller may reuse its arrays at once. GPU
        arrays are not copied and must not change until the result is ready. As many submitted calls run concurrently as
        the backend supports. While 32 more are queued, this method blocks, except in a future's callback. So do not
        hold a lock here that such a callback takes, and call it in a thread if you use an event loop.

        Returns:
            A future for the outputs. `close` waits for all futures.

        Raises:
            InputError, OutputNameError, SessionClosedError: Immediately, as in a call.
        """
        work = Work(self._gate.for_those_inside())
        try:
            with self._gate.inside():
                self._require_open()
                checked = self._check(self._by_name(inputs, named))
                feeds = {name: array if type(array) is DeviceArray else array.copy() for name, array in checked.items()}
                names = self._output_names if outputs is None else self._wanted(outputs)
                workers = self._workers()
            while True:
                with self._gate.inside():
                    self._require_open()
                    work.fill(feeds)
                    future = workers.submit(work, self._run, names)
                if future is not None:
                    return future
                # Do not wait inside the gate, because close() waits for threads inside.
                work.empty()
                workers.pause()
        except BaseException:
            work.end()
            raise

    def empty_inputs(self, **shapes: tuple[int, ...]) -> dict[str, Array]:
        """Return arrays for all inputs, to fill and pass to a call, which saves a copy on the host.

        For models on a GPU, the arrays are in page-locked memory, which the GPU reads directly; otherwise they are
        ordinary arrays. They belong to the caller until the last reference is gone, and may be refilled and passed
        again.

        Args:
            shapes: Shape of each input with a dynamic shape, by name.

        Raises:
            InputError: A shape is missing, has an unknown name, or does not fit the input.
        """
        with self._gate.inside():
            self._require_open()
            return self._backend.empty_inputs(full_shapes(self.signature, shapes))

    def profile(self, inputs: Mapping[str, Any] | Any = None, /, **named: Any) -> dict[str, float] | None:
        """Run the model once and return the time of each part in milliseconds; None if the backend cannot measure them.

        Args:
            inputs: As in a call.
            named: As in a call.

        Returns:
            Times with trtexec's names: ``h2d_ms`` and ``d2h_ms`` (copies to and from the GPU), ``gpu_compute_ms``, and
            ``enqueue_ms`` (host time to queue the computation).
        """
        with self._gate.inside():
            self._require_open()
            times = self._backend.profile(self._check(self._by_name(inputs, named)))
            return None if times is None else dict(times)

    def profile_layers(self, inputs: Mapping[str, Any] | Any = None, /, **named: Any) -> list[TimedLayer] | None:
        """Run the model several times and return the time of each layer; None if the backend cannot measure it.

        Args:
            inputs: As in a call.
            named: As in a call.
        """
        with self._gate.inside():
            self._require_open()
            times = self._backend.profile_layers(self._check(self._by_name(inputs, named)))
            return None if times is None else list(times)

    def report(self) -> dict[str, Any]:
        """Return what runs the model (backend, version, device, options) as plain JSON values."""
        with self._gate.inside():
            self._require_open()
            return dict(self._backend.report())

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._gate.closed

    def close(self) -> None:
        """Wait for running calls, including submitted ones, then free the model. Closing again does nothing.

        From within a call or a future's callback, `close` does not wait: the model is freed when all calls have ended.
        """
        self._gate.close()
        if self._is_in_a_call():
            threading.Thread(target=self._gate.free, args=(self._free,), name="onepass-close").start()
        else:
            self._gate.free(self._free)

    def stop(self, reason: str) -> None:
        """Stop running calls and reject further ones, if the backend supports it: ONNX Runtime does, engines do not.

        Args:
            reason: Message of the `BackendError` that these calls raise.
        """
        self._backend.stop(reason)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"the session of {self.name} cannot be pickled or copied, because it holds an open model. "
            "Send an onepass.ModelSpec instead, and load it in the other process"
        )

    def __enter__(self) -> Session:
        with self._gate.inside():
            self._require_open()
            return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _free(self) -> None:
        try:
            self._backend.close()
        finally:
            if self._background is not None:
                self._background.shutdown()

    def _require_open(self) -> None:
        if self._gate.closed:
            raise SessionClosedError(self._unusable)

    def _is_in_a_call(self) -> bool:
        """Whether this thread is in a call of this session, such as in a signal handler or an input's conversion."""
        frame = inspect.currentframe()
        while frame is not None:
            if frame.f_code in _CALLS and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return self._background is not None and self._background.is_here

    def _hold_threads(self, seconds: float) -> bool:
        """At process exit, admit no further threads, wait for those inside, and return whether all are out.

        Submitted calls are computed, however long they take.
        """
        self._gate.hold()
        if self._background is not None:
            self._background.drain()
        return self._gate.wait_until_empty(seconds)

    def _after_fork(self) -> None:
        """In a forked process: other threads and workers are gone, and maybe the backend does not work."""
        self._gate.forget()
        self._lock, self._background = threading.Lock(), None
        if not self._backend.survives_fork:
            self._gate.abandon()
            self._unusable = (
                f"the session of {self.name} was opened before this process was forked, and neither threads nor GPU "
                "contexts survive a fork; open the model again here with onepass.load, or start processes with 'spawn'"
            )
            _LEFT_BEHIND.append(self._backend)

    def _workers(self) -> Background:
        with self._lock:
            if self._background is None:
                self._background = Background(self._backend.concurrency)
            return self._background

    def _run(
        self,
        feeds: Mapping[str, Any],
        names: tuple[str, ...],
        out: Mapping[str, Array] | None = None,
        copy: bool = False,  # noqa: FBT002 - positional is faster, and the method is private
        timeout: float | None = None,
    ) -> Outputs:
        backend = self._backend
        found = backend.run(feeds, names) if timeout is None else backend.run_within(feeds, names, timeout)
        if out is None and not copy:
            return Outputs(zip(names, found, strict=True))
        arrays: dict[str, Any] = dict(zip(names, found, strict=True))
        if out is not None:
            fill(out, arrays)
        if copy:
            # Views are in memory that belongs to the backend.
            arrays = {n: a if isinstance(a, DeviceArray) or a.flags.owndata else a.copy() for n, a in arrays.items()}
        return Outputs(arrays)

    def _by_name(self, inputs: Any, named: dict[str, Any]) -> Mapping[str, Any]:
        if inputs is None:
            return named
        if type(inputs) is dict or isinstance(inputs, Mapping):
            if not named:
                return inputs
            both = inputs.keys() & named.keys()
            if both:
                raise InputError(f"input {min(both)!r} is given twice, in the mapping and as a keyword")
            return {**inputs, **named}
        specs = self.signature.inputs
        if len(specs) != 1:
            listed = ", ".join(f"{spec.name}=..." for spec in specs)
            raise InputError(f"the model has {len(specs)} inputs, so each needs its name: session({listed})")
        return {specs[0].name: inputs, **named}

    def _wanted(self, outputs: Iterable[str]) -> tuple[str, ...]:
        names = self.signature.ordered_outputs(outputs)
        if not names:
            raise InputError(f"outputs=[] is empty; the model has {', '.join(self._output_names)}")
        return names


# The code objects that a thread inside the gate is executing.
_CALLS = frozenset(
    method.__code__
    for method in (
        Session.__call__,
        Session.submit,
        Session.empty_inputs,
        Session.profile,
        Session.profile_layers,
        Session.report,
    )
)
# Backends broken by a fork: freeing them would use threads or a GPU context that no longer exist.
_LEFT_BEHIND: list[Backend] = []
