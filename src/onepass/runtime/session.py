"""A session: one model, ready to run. It checks what comes in, calls the backend, and names what goes out."""

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
    """A model that is ready to run; made by `onepass.load`.

    Any number of threads may call one session at once.

    Example::

        with onepass.load("elg.onnx") as session:
            outputs = session(eye=eyes)       # by keyword
            outputs = session({"eye": eyes})  # by mapping: for `out`, `outputs`, and other names
            outputs = session(eyes)           # the only input needs no name
    """

    def __init__(self, backend: Backend, *, name: str = "model") -> None:
        """Put a session in front of a backend, which it owns from here on.

        Args:
            backend: What computes.
            name: What to call the model in messages; `onepass.load` gives the path.
        """
        self.name = name
        self.signature: Signature = backend.signature
        self._backend = backend = completed(backend)
        self._check = InputChecker(self.signature, import_streams=backend.import_streams, place=backend.place)
        self.concurrency: int = backend.concurrency  # calls that run side by side; more threads may call, and wait
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

        Inputs may also be arrays on a GPU, of PyTorch, CuPy, JAX or Numba, if the model runs there. If one is, the
        outputs stay there too: each is a `DeviceArray`, which those libraries take without a copy.

        Args:
            inputs: A mapping from input name to array, or the array itself where the model has a single input.
            outputs: Names of the outputs to compute; nothing is computed for the others, though every input is still
                to be given. All by default.
            out: Arrays to fill, by output name; the result holds these in place of new ones. They need the exact
                dtype and shape of the output.
            copy: Give back arrays in memory of their own. Otherwise an engine's results lie in page-locked memory,
                which is lent until the last array on it is gone; that is quicker, and just as safe.
            timeout: Seconds after which a run that is not done is ended, for models whose loops may not end. ONNX
                Runtime can do this, between two nodes; a frozen pass of its own ends by itself, and the call fails if
                that was too late; an engine's pass cannot be ended.
            named: Inputs by keyword.

        Returns:
            The outputs in the model's own order. The arrays are the caller's own: no later call changes them.

        Raises:
            InputError: An array has the wrong name, dtype, rank or size; the message says which and what to do.
            OutputNameError: The model has no output of a name in `outputs` or `out`.
            BackendError: The computation failed.
            RunTimeoutError: It was not done after `timeout` seconds.
            ModelFormatError: The first call for these `outputs` has to read the model file, and that has changed.
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
        """Run the model in the background; takes what a call takes, but for `out` and `timeout`.

        The inputs are checked and copied before this returns, so the caller may reuse its arrays at once; those on a
        GPU are not copied, and must stay as they are until the result is there. As many submitted calls run at once as
        the backend runs side by side. While 32 more wait for their turn, this waits before it returns, except in a
        future's callback; so hold no lock here that such a callback takes, and call it from an event loop in a thread.

        Returns:
            A future of the outputs. `close` waits for all of them.

        Raises:
            InputError, OutputNameError, SessionClosedError: At once, as a call would.
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
                # Nobody waits inside: close() waits for those who are.
                work.empty()
                workers.pause()
        except BaseException:
            work.end()
            raise

    def empty_inputs(self, **shapes: tuple[int, ...]) -> dict[str, Array]:
        """Return arrays for all inputs, to be filled and given to a call: what lies in them is not copied once more.

        On a GPU they are page-locked memory that it fetches by itself; elsewhere they are ordinary arrays. They are
        the caller's until the last reference to them is gone, and may be filled and given again.

        Args:
            shapes: The shape of each input whose size is not fixed, by name.

        Raises:
            InputError: A shape is missing, unknown, or not one that the input may have.
        """
        with self._gate.inside():
            self._require_open()
            return self._backend.empty_inputs(full_shapes(self.signature, shapes))

    def profile(self, inputs: Mapping[str, Any] | Any = None, /, **named: Any) -> dict[str, float] | None:
        """Run the model once and say what took how long, in milliseconds; None where the backend cannot tell.

        Args:
            inputs: As of a call.
            named: As of a call.

        Returns:
            By trtexec's names: ``h2d_ms`` and ``d2h_ms`` (the copies to and from the GPU), ``gpu_compute_ms``, and
            ``enqueue_ms`` (the host's time to queue the computation).
        """
        with self._gate.inside():
            self._require_open()
            times = self._backend.profile(self._check(self._by_name(inputs, named)))
            return None if times is None else dict(times)

    def profile_layers(self, inputs: Mapping[str, Any] | Any = None, /, **named: Any) -> list[TimedLayer] | None:
        """Run the model some times and say how long each layer of it takes; None where the backend cannot tell.

        Args:
            inputs: As of a call.
            named: As of a call.
        """
        with self._gate.inside():
            self._require_open()
            times = self._backend.profile_layers(self._check(self._by_name(inputs, named)))
            return None if times is None else list(times)

    def report(self) -> dict[str, Any]:
        """Say what runs the model (backend, version, device, options) as plain JSON values."""
        with self._gate.inside():
            self._require_open()
            return dict(self._backend.report())

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._gate.closed

    def close(self) -> None:
        """Wait for calls under way, those submitted included, then free the model. Closing again does nothing.

        In the middle of a call, or in a future's callback, it cannot wait: the model is freed when all have ended.
        """
        self._gate.close()
        if self._is_in_a_call():
            threading.Thread(target=self._gate.free, args=(self._free,), name="onepass-close").start()
        else:
            self._gate.free(self._free)

    def stop(self, reason: str) -> None:
        """End the runs under way, and refuse further ones, if the backend can: ONNX Runtime does, an engine does not.

        Args:
            reason: What the `BackendError` of these runs says.
        """
        self._backend.stop(reason)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"the session of {self.name} cannot be pickled or copied: it holds a model that is ready to run. "
            "Send the onepass.ModelSpec that opens it, and load it in the other process"
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
        """Whether the thread is in a call of this session: in a signal handler, say, or in an input's conversion."""
        frame = inspect.currentframe()
        while frame is not None:
            if frame.f_code in _CALLS and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return self._background is not None and self._background.is_here

    def _hold_threads(self, seconds: float) -> bool:
        """At the end of the process, let no thread in any more, and wait for those inside; whether all are out.

        What was submitted is computed, however long that takes.
        """
        self._gate.hold()
        if self._background is not None:
            self._background.drain()
        return self._gate.wait_until_empty(seconds)

    def _after_fork(self) -> None:
        """In a process that was forked: other threads are not there, workers neither, and maybe not the backend."""
        self._gate.forget()
        self._lock, self._background = threading.Lock(), None
        if not self._backend.survives_fork:
            self._gate.abandon()
            self._unusable = (
                f"the session of {self.name} was opened before this process was forked, and neither threads nor GPUs "
                "survive that; open the model again here with onepass.load, or start processes by 'spawn'"
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
        copy: bool = False,  # noqa: FBT002 - by position, which is quicker, and nobody else calls it
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
            # What is a view of something lies in memory that the backend lends.
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
            raise InputError(f"outputs=[] asks for nothing; the model has {', '.join(self._output_names)}")
        return names


# What a thread is in while it is inside.
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
# Backends that a fork broke: to free what they hold would touch threads or a GPU that are not there.
_LEFT_BEHIND: list[Backend] = []
