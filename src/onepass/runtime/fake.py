"""A backend without a model: for tests of code that uses onepass, and for trying an interface before its network.

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
    """Answers with what a function returns, or with zeros of the right shapes and dtypes.

    Attributes:
        signature: As given.
        calls: For each run, the shapes of the inputs and the names of the outputs asked for.
        closed: Whether the session closed the backend.
    """

    def __init__(
        self, signature: Signature, compute: Compute | None = None, *, sizes: Mapping[str, int] | None = None
    ) -> None:
        """Make a fake of a model with the given signature.

        Args:
            signature: Inputs and outputs of the model that is stood in for.
            compute: Takes the inputs, returns the outputs by name. By default outputs are zeros (strings are
                empty), whose dynamic dimensions have the size of the input dimension of the same name.
            sizes: Sizes of dynamic dimensions that no input has, by name.
        """
        self.signature = signature
        self.calls: list[tuple[dict[str, tuple[int, ...]], tuple[str, ...]]] = []
        self.closed = False
        self._compute = compute or self._zeros
        self._sizes = dict(sizes or {})

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
        """Return the outputs called `names`.

        Raises:
            BackendError: The function raised, or returned an output that the signature does not allow.
        """
        self.calls.append(({name: array.shape for name, array in feeds.items()}, tuple(names)))
        try:
            results = self._compute(feeds)
        except Exception as error:
            raise BackendError(f"the function behind the fake backend raised {error!r}") from error
        if not isinstance(results, Mapping):
            raise BackendError(f"the function behind the fake backend returned {type(results).__name__}, not a mapping")
        specs = {spec.name: spec for spec in self.signature.outputs}
        # Copied, since a function may well return the same array twice, or one of its inputs.
        return [np.array(_checked(specs[name], results)) for name in names]

    def report(self) -> Mapping[str, Any]:
        """Say that this is a fake."""
        return {"backend": "fake", "device": "none", "calls": len(self.calls)}

    def close(self) -> None:
        """Note that the session was closed."""
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
            raise ValueError(f"output {spec.name!r} is {spec}; give the size of {dim}: FakeBackend(..., sizes=...)")
        resolved.append(size)
    return tuple(resolved)


def _checked(spec: TensorSpec, results: Mapping[str, Array]) -> Array:
    if spec.name not in results:
        raise BackendError(f"the function behind the fake backend returned no {spec.name!r}, only {list(results)}")
    array = np.asarray(results[spec.name])
    if array.dtype != spec.dtype or not spec.allows(array.shape):
        raise BackendError(
            f"the function behind the fake backend returned {spec.name!r} as {array.dtype} "
            f"{shape_text(array.shape)}; the signature says {spec}"
        )
    return array
