"""A backend without a model: for tests of code that uses onepass, and for trying an interface before a network exists.

Example::

    from onepass import Session, Signature, TensorSpec
    from onepass.runtime.fake import FakeBackend

    float32 = np.dtype("float32")
    signature = Signature(
        inputs=(TensorSpec("eye", float32, ("N", 1, 36, 60)),),
        outputs=(TensorSpec("landmarks", float32, ("N", 18, 2)), TensorSpec("radius", float32, ("N", 1))),
    )
    session = Session(FakeBackend(signature))
    session(eye=eyes).radius              # zeros of shape [len(eyes), 1]
    session = Session(FakeBackend(signature, lambda feeds: {"landmarks": ..., "radius": ...}))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from onepass._errors import BackendError
from onepass.outputs import Array
from onepass.runtime.backend import BackendBase
from onepass.tensors import STRING, Signature, TensorSpec, shape_text

Compute = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class FakeBackend(BackendBase):
    """Returns the results of a function, or zeros with the right shapes and dtypes.

    Attributes:
        signature: The given signature.
        calls: For each run, the shapes of the inputs and the names of the requested outputs.
        closed: Whether the session closed the backend.
    """

    def __init__(
        self, signature: Signature, compute: Compute | None = None, *, sizes: Mapping[str, int] | None = None
    ) -> None:
        """Create a fake of a model.

        Args:
            signature: Inputs and outputs of the model.
            compute: A function from inputs to outputs, both by name. By default outputs are zeros (strings are empty),
                and a dynamic dimension has the size of the input dimension with the same name.
            sizes: Sizes of dynamic dimensions that no input has, by name.
        """
        self.signature = signature
        self.calls: list[tuple[dict[str, tuple[int, ...]], tuple[str, ...]]] = []
        self.closed = False
        self._compute = compute or self._zeros
        self._sizes = dict(sizes or {})

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
        """Return the outputs `names`.

        Raises:
            BackendError: The function raised, or returned an output that does not fit the signature.
        """
        self.calls.append(({name: array.shape for name, array in feeds.items()}, tuple(names)))
        try:
            results = self._compute(feeds)
        except Exception as error:
            raise BackendError(f"the fake backend's function raised {error!r}") from error
        if not isinstance(results, Mapping):
            raise BackendError(f"the fake backend's function returned {type(results).__name__}, expected a mapping")
        specs = {spec.name: spec for spec in self.signature.outputs}
        # Copied, because a function may return the same array twice, or one of its inputs.
        return [np.array(_checked(specs[name], results)) for name in names]

    def report(self) -> Mapping[str, Any]:
        """Return that this is a fake."""
        return {"backend": "fake", "device": "none", "calls": len(self.calls)}

    def close(self) -> None:
        """Record that the session was closed."""
        self.closed = True

    def _zeros(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        sizes = dict(self._sizes)
        for spec in self.signature.inputs:
            dims = zip(spec.shape or (), feeds[spec.name].shape, strict=False)
            sizes.update({dim: size for dim, size in dims if isinstance(dim, str)})
        return {
            spec.name: np.full(_resolved(spec, sizes), "" if spec.dtype == STRING else 0, spec.dtype)
            for spec in self.signature.outputs
        }


def _resolved(spec: TensorSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
    resolved = []
    for dim in spec.shape or ():
        size = dim if isinstance(dim, int) else sizes.get(str(dim))
        if size is None:
            raise ValueError(f"output {spec.name!r} ({spec}) needs the size of {dim}: FakeBackend(..., sizes=...)")
        resolved.append(size)
    return tuple(resolved)


def _checked(spec: TensorSpec, results: Mapping[str, Array]) -> Array:
    if spec.name not in results:
        raise BackendError(f"the fake backend's function returned no {spec.name!r}, only {list(results)}")
    array = np.asarray(results[spec.name])
    if array.dtype != spec.dtype or not spec.allows(array.shape):
        raise BackendError(
            f"the fake backend's function returned output {spec.name!r} as {array.dtype} {shape_text(array.shape)}, "
            f"expected {spec}"
        )
    return array
