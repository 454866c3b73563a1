"""Which optimisation profile of an engine holds the inputs of a call, and what to say where none does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onepass.engine.shapes import Profile, ShapeRange
from onepass.tensors import shape_text


def choose_profile(
    profiles: tuple[Profile, ...], shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
) -> int | None:
    """Return the number of the profile that holds all shapes and values; of several, that whose best are nearest.

    Args:
        profiles: What the engine was built for.
        shapes: Shapes of the inputs by name.
        values: By name, the values of those that lie on the host, flat.
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
    """Say which shapes and values came and which the engine was built for."""
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
        f"{name}: got {', '.join(came)}, but the engine was built for {' or '.join(built)}. Give less at a time, or "
        "build it again with a range that holds this: onepass.build(shapes=…)"
    )


def _compared(
    profile: Profile, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
) -> list[tuple[ShapeRange, tuple[int, ...]]]:
    pairs = ((profile.shapes, shapes), (profile.values, values))
    return [(ranges[name], came[name]) for ranges, came in pairs for name in ranges if name in came]


def _distance(allowed: ShapeRange, came: tuple[int, ...]) -> float:
    """How far a shape is from the best one, by the logarithm of its sizes."""
    return float(np.abs(np.log1p(np.maximum(allowed.opt, 0)) - np.log1p(np.maximum(came, 0))).sum())


def _range_text(allowed: ShapeRange) -> str:
    sizes = (str(a) if a == b else f"{a}…{b}" for a, b in zip(allowed.min, allowed.max, strict=True))
    return f"[{', '.join(sizes)}]"
