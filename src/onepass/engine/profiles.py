"""Choose an engine's optimisation profile for the inputs of a call, or explain why none fits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onepass.engine.shapes import Profile, ShapeRange
from onepass.tensors import shape_text


def choose_profile(
    profiles: tuple[Profile, ...], shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
) -> int | None:
    """Return the index of a profile that contains all shapes and values; of several, the one with the nearest optimum.

    Args:
        profiles: The engine's profiles.
        shapes: Shapes of the inputs by name.
        values: Values of the shape tensors by name, flattened.

    Returns:
        None if no profile fits.
    """
    fitting = [
        (sum(_distance(allowed, came) for allowed, came in _compared(profile, shapes, values)), index)
        for index, profile in enumerate(profiles)
        if all(allowed.contains(came) for allowed, came in _compared(profile, shapes, values))
    ]
    return min(fitting)[1] if fitting else None


def outside_profiles(
    name: str,
    profiles: tuple[Profile, ...],
    shapes: Mapping[str, tuple[int, ...]],
    values: Mapping[str, tuple[int, ...]],
) -> str:
    """Return the message for inputs outside all profiles: the given shapes and values, and the supported ranges."""
    came = [f"{each} {shape_text(shape)}" for each, shape in shapes.items()]
    came += [f"{each} = {list(numbers)}" for each, numbers in values.items()]
    built = [
        ", ".join(
            [f"{each} {_range_text(allowed)}" for each, allowed in profile.shapes.items()]
            + [f"{each} = {_range_text(allowed)}" for each, allowed in profile.values.items()]
        )
        for profile in profiles
    ]
    return (
        f"{name}: got {', '.join(came)}, but the engine was built for {' or '.join(built)}. Use smaller batches, or "
        "build the engine with a larger range: onepass.build(shapes=…)"
    )


def _compared(
    profile: Profile, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
) -> list[tuple[ShapeRange, tuple[int, ...]]]:
    pairs = ((profile.shapes, shapes), (profile.values, values))
    return [(ranges[name], came[name]) for ranges, came in pairs for name in ranges if name in came]


def _distance(allowed: ShapeRange, came: tuple[int, ...]) -> float:
    """Return the distance of a shape from the optimum, on a logarithmic scale."""
    return float(np.abs(np.log1p(np.maximum(allowed.opt, 0)) - np.log1p(np.maximum(came, 0))).sum())


def _range_text(allowed: ShapeRange) -> str:
    sizes = (str(a) if a == b else f"{a}…{b}" for a, b in zip(allowed.min, allowed.max, strict=True))
    return f"[{', '.join(sizes)}]"
