"""A session: one model, ready to run. It checks what comes in, calls the backend, and names what goes out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from itertools import combinations
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from onepass._errors import InputError, SessionClosedError
from onepass.outputs import Array, Outputs
from onepass.runtime._background import Background
from onepass.runtime._device_arrays import DeviceArray
from onepass.runtime._gate import Gate
from onepass.runtime._inputs import InputChecker
from onepass.runtime.backend import Backend, completed
from onepass.tensors import Signature, TensorSpec, dtype_name, no_such_name, shape_text

if TYPE_CHECKING:
    from onepass.engine.layers import TimedLayer


class Session:
    """A model that is ready to run; made by `onepass.load`.

    Any number of threads may call one session at once.

    Example::

        with onepass.load("elg.onnx") as session:
            outputs = session(eye=eyes)          # by keyword
            outputs = session({"eye": eyes})     # by mapping: names that are no identifiers, or `out`, `outputs`
            outputs = session(eyes)              # the only input needs no name
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
        self._check = InputChecker(self.signature, import_stream=backend.import_stream)
        self._output_names = self.signature.output_names
        self._gate = Gate(self._free)
        self._lock = threading.Lock()
        self._background: Background | None = None

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
            named: Inputs by keyword.

        Returns:
            The outputs in the model's own order. The arrays are the caller's own: no later call changes them.

        Raises:
            InputError: An array has the wrong name, dtype, rank or size; the message says which and what to do.
            OutputNameError: The model has no output of a name in `outputs` or `out`.
            BackendError: The computation failed.
            ModelFormatError: The first call for these `outputs` has to read the model file, and that has changed.
            SessionClosedError: The session is closed.
        """
        self._enter()
        try:
            feeds = self._check(self._by_name(inputs, named))
            names = self._output_names if outputs is None else self._wanted(outputs)
            if out is not None:
                self._check_out(out, names)
            return self._run(feeds, names, out, copy=copy)
        finally:
            self._gate.leave()

    def submit(
        self,
        inputs: Mapping[str, Any] | Any = None,
        /,
        *,
        outputs: Iterable[str] | None = None,
        **named: Any,
    ) -> Future[Outputs]:
        """Run the model in the background; takes what a call takes, but for `out`.

        The inputs are checked and copied before this returns, so the caller may reuse its arrays at once; those on a
        GPU are not copied, and must stay as they are until the result is there. As many submitted calls run at once as
        the backend runs side by side. While 32 more wait for their turn, this waits before it returns, except in a
        future's callback; so hold no lock here that such a callback takes, and call it from an event loop in a thread.

        Returns:
            A future of the outputs. `close` waits for all of them.

        Raises:
            InputError, OutputNameError, SessionClosedError: At once, as a call would.
        """
        self._enter()
        try:
            checked = self._check(self._by_name(inputs, named))
            feeds = {name: array if type(array) is DeviceArray else array.copy() for name, array in checked.items()}
            names = self._output_names if outputs is None else self._wanted(outputs)
            workers = self._workers()
        finally:
            self._gate.leave()
        # Nobody waits inside: close() waits for those who are, and may have been called in a signal handler.
        give_back = workers.wait_for_room()
        try:
            self._enter()
        except BaseException:
            give_back()
            raise

        def end() -> None:
            feeds.clear()  # of a cancelled call, whose place in the queue stays until its turn
            give_back()
            self._gate.leave()

        try:
            future = workers.submit(self._run, feeds, names, None)
        except BaseException:
            end()
            raise
        # The call ends with the future, also when that is cancelled before it began.
        future.add_done_callback(lambda _: end())
        return future

    def empty_inputs(self, **shapes: tuple[int, ...]) -> dict[str, Array]:
        """Return arrays for all inputs, to be filled and given to a call: what lies in them is not copied once more.

        On a GPU they are page-locked memory that it fetches by itself; elsewhere they are ordinary arrays. They are
        the caller's until the last reference to them is gone, and may be filled and given again.

        Args:
            shapes: The shape of each input whose size is not fixed, by name.

        Raises:
            InputError: A shape is missing, unknown, or not one that the input may have.
        """
        self._enter()
        try:
            return self._backend.empty_inputs(_full_shapes(self.signature, shapes))
        finally:
            self._gate.leave()

    def profile(self, inputs: Mapping[str, Any] | Any = None, /, **named: Any) -> dict[str, float] | None:
        """Run the model once and say what took how long, in milliseconds; None where the backend cannot tell.

        Args:
            inputs: As of a call.
            named: As of a call.

        Returns:
            By trtexec's names: ``h2d_ms`` and ``d2h_ms`` (the copies to and from the GPU), ``gpu_compute_ms``, and
            ``enqueue_ms`` (the host's time to queue the computation).
        """
        self._enter()
        try:
            times = self._backend.profile(self._check(self._by_name(inputs, named)))
            return None if times is None else dict(times)
        finally:
            self._gate.leave()

    def profile_layers(self, inputs: Mapping[str, Any] | Any = None, /, **named: Any) -> list[TimedLayer] | None:
        """Run the model some times and say how long each layer of it takes; None where the backend cannot tell.

        Args:
            inputs: As of a call.
            named: As of a call.
        """
        self._enter()
        try:
            times = self._backend.profile_layers(self._check(self._by_name(inputs, named)))
            return None if times is None else list(times)
        finally:
            self._gate.leave()

    def report(self) -> dict[str, Any]:
        """Say what runs the model (backend, version, device, options) as plain JSON values."""
        self._enter()
        try:
            return dict(self._backend.report())
        finally:
            self._gate.leave()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._gate.closed

    def close(self) -> None:
        """Wait for calls under way, those submitted included, then free the model. Closing again does nothing.

        Called by a future's callback, it does not wait; the last call that ends frees the model.
        """
        from_worker = self._background is not None and self._background.is_here
        self._gate.close(wait=not from_worker)
        if self._background is not None and not from_worker:
            self._background.shutdown(wait=True)

    def __enter__(self) -> Session:
        self._enter()
        self._gate.leave()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _free(self) -> None:
        """Free the model, and let the workers go, when the last call has ended."""
        try:
            self._backend.close()
        finally:
            if self._background is not None:
                self._background.shutdown(wait=False)

    def _enter(self) -> None:
        if not self._gate.enter():
            raise SessionClosedError(f"the session of {self.name} is closed; open the model again with onepass.load")

    def _workers(self) -> Background:
        with self._lock:
            if self._background is None:
                self._background = Background(self._backend.concurrency)
            return self._background

    def _run(
        self,
        feeds: Mapping[str, Any],
        names: tuple[str, ...],
        out: Mapping[str, Array] | None,
        *,
        copy: bool = False,
    ) -> Outputs:
        arrays: dict[str, Any] = dict(zip(names, self._backend.run(feeds, names), strict=True))
        if out is not None:
            _fill(out, arrays)
        if copy:
            # What is a view of something lies in memory that the backend lends.
            arrays = {n: a if isinstance(a, DeviceArray) or a.flags.owndata else a.copy() for n, a in arrays.items()}
        return Outputs(arrays)

    def _by_name(self, inputs: Any, named: dict[str, Any]) -> Mapping[str, Any]:
        if inputs is None:
            return named
        if isinstance(inputs, Mapping):
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

    def _check_out(self, out: Mapping[str, Array], names: tuple[str, ...]) -> None:
        if not isinstance(out, Mapping):
            raise InputError(
                f"out= takes a mapping from output name to array, got {type(out).__name__}. "
                "An input called 'out' is fed by mapping: session({'out': array})"
            )
        specs = {spec.name: spec for spec in self.signature.outputs}
        for name in self.signature.ordered_outputs(out):
            if name not in names:
                raise InputError(f"out= has {name!r}, which outputs= does not ask for")
            _check_target(specs[name], out[name])
        for (name, first), (other, second) in combinations(out.items(), 2):
            if np.shares_memory(first, second):
                raise InputError(f"out= gives {name!r} and {other!r} the same memory; each needs an array of its own")


def _full_shapes(signature: Signature, given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every input: those given, and those that are fixed anyway."""
    for name in given:
        if name not in signature.input_names:
            raise InputError(no_such_name("input", name, signature.input_names))
    shapes: dict[str, tuple[int, ...]] = {}
    for spec in signature.inputs:
        shape: Any = given.get(spec.name, spec.shape if spec.is_static else None)
        if shape is None:
            raise InputError(f"input {spec.name!r} is {spec}; say its shape: empty_inputs({spec.name}=(...))")
        if not spec.allows(tuple(shape)):
            raise InputError(f"input {spec.name!r}: the shape {shape_text(tuple(shape))} does not fit; it is {spec}")
        shapes[spec.name] = tuple(shape)
    return shapes


def _check_target(spec: TensorSpec, target: Any) -> None:
    """Find before the run what would otherwise be found after it."""
    if not isinstance(target, np.ndarray):
        raise InputError(f"out={{{spec.name!r}: ...}}: expected a NumPy array, got {type(target).__name__}")
    if target.dtype != spec.dtype or not spec.allows(target.shape):
        raise InputError(
            f"out={{{spec.name!r}: ...}}: got {dtype_name(target.dtype)} {shape_text(target.shape)}, "
            f"the output is {spec}"
        )
    if not target.flags.writeable:
        raise InputError(f"out={{{spec.name!r}: ...}}: the array is read-only; give one that can be written")


def _fill(out: Mapping[str, Array], arrays: dict[str, Array]) -> None:
    """Put results into the caller's arrays; all are compared first, so that none is filled if one does not fit."""
    for name, target in out.items():
        if arrays[name].shape != target.shape:
            raise InputError(
                f"out={{{name!r}: ...}}: got {shape_text(target.shape)}, "
                f"but this call's output has {shape_text(arrays[name].shape)}"
            )
    for name, target in out.items():
        np.copyto(target, arrays[name])
        arrays[name] = target
