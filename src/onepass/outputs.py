"""The result of a call: every output, by name, in the model's own order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, overload

import numpy.typing as npt

from onepass._errors import InputError, OutputNameError
from onepass.tensors import dtype_name, no_such_name, shape_text

Array: TypeAlias = npt.NDArray[Any]


class Outputs(Mapping[str, Array]):
    """Read-only mapping from output name to array, in the model's own order.

    The mapping cannot be changed. The arrays belong to the caller; later calls never overwrite them.

    Example::

        outputs = session(eye=eyes)
        outputs["landmarks"]                              # by name
        outputs.landmarks                                 # if the name is a Python identifier
        heatmaps, radius = outputs["heatmaps", "radius"]  # several at once
        draw(**outputs)                                   # as keywords
        first, second = outputs.split()                   # one Outputs object per batch item

    If an output has the name of a method (``items``, ``values``, ``split`` …), use ``outputs["items"]``.
    """

    __slots__ = ("__weakref__", "_arrays")
    _arrays: dict[str, Array]

    def __init__(self, arrays: Mapping[str, Array] | Iterable[tuple[str, Array]]) -> None:
        object.__setattr__(self, "_arrays", dict(arrays))

    @overload
    def __getitem__(self, name: str) -> Array: ...
    @overload
    def __getitem__(self, name: tuple[str, ...]) -> tuple[Array, ...]: ...
    def __getitem__(self, name: str | tuple[str, ...]) -> Array | tuple[Array, ...]:
        if isinstance(name, tuple):
            return tuple(self[each] for each in name)
        try:
            return self._arrays[name]
        except KeyError:
            raise OutputNameError(no_such_name("output", name, tuple(self._arrays))) from None

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __getattr__(self, name: str) -> Array:
        if name == "_arrays":  # not set yet while the object is copied or unpickled
            raise AttributeError(name)
        try:
            return self._arrays[name]
        except KeyError:
            raise AttributeError(no_such_name("output", name, tuple(self._arrays)), name=name, obj=self) from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Outputs are read-only; cannot set {name!r}. Use a copy: outputs.as_dict()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Outputs are read-only; cannot delete {name!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._arrays if name.isidentifier())]

    def __repr__(self) -> str:
        parts = (f"{name}={dtype_name(array.dtype)}{shape_text(array.shape)}" for name, array in self._arrays.items())
        return f"Outputs({', '.join(parts)})"

    def __reduce__(self) -> tuple[type[Outputs], tuple[dict[str, Array]]]:
        return (Outputs, (self._arrays,))

    # Comparing arrays gives no single truth value, so Outputs are equal only if they are the same object.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def as_dict(self) -> dict[str, Array]:
        """Return a new dict with the same arrays in the same order; the caller may change it."""
        return dict(self._arrays)

    def split(self) -> list[Outputs]:
        """Return one `Outputs` object per batch item, without the batch dimension.

        The arrays are views: ``split()[i][name]`` is ``outputs[name][i]``.

        Raises:
            InputError: The outputs do not all have the same leading dimension, so there is no batch to split.
        """
        # -1 stands for a scalar output, which has no leading dimension.
        sizes = {array.shape[0] if array.ndim else -1 for array in self._arrays.values()}
        batch = sizes.pop() if len(sizes) == 1 else -1
        if batch < 0:
            found = ", ".join(f"{name} {shape_text(array.shape)}" for name, array in self._arrays.items())
            raise InputError(
                f"cannot split the batch: the outputs have no common leading dimension ({found or 'no outputs'}). "
                "Request only outputs with the batch dimension: outputs=[...]"
            )
        # For a vector, array[i] would be a NumPy scalar; the ellipsis makes it an array of rank 0.
        return [Outputs({name: array[i, ...] for name, array in self._arrays.items()}) for i in range(batch)]
