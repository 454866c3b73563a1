"""Who is who in a video: cuts, looks at faces, and numbers that are never handed over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass.gaze import Box
from onepass.gaze.video._cuts import CutDetector
from onepass.gaze.video._likeness import Likeness, look_at
from onepass.gaze.video._who import Memory

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

Grey = np.ndarray[Any, Any]
PLACE = {"right": np.array([[90.0, 60], [70, 60]]), "left": np.array([[130.0, 60], [150, 60]])}


def texture(seed: int, low: int = 40, high: int = 200) -> Grey:
    """Return a picture [200, 320] with soft patches."""
    rough = np.random.default_rng(seed).uniform(low, high, (20, 32)).astype(np.float32)
    return np.asarray(cv2.resize(rough, (320, 200), interpolation=cv2.INTER_CUBIC)).clip(0, 255).astype(np.uint8)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.floats(0.5, 1.2), st.integers(-25, 25), st.integers(-12, 12))
def test_only_another_picture_is_a_cut(seed: int, light: float, x_px: int, y_px: int) -> None:
    """Light that changes and a camera that pans are no cut, another picture and another size are."""
    picture = texture(seed)
    is_cut = CutDetector()
    assert not is_cut(picture)
    assert not is_cut((picture * light).astype(np.uint8))
    assert not is_cut(picture)
    assert not is_cut(
        np.asarray(cv2.warpAffine(picture, np.array([[1.0, 0, x_px], [0, 1, y_px]]), (320, 200), borderMode=2))
    )
    assert is_cut(texture(seed + 1000))
    assert is_cut(texture(seed + 1000)[:150])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.floats(0.5, 1.2), st.floats(-1.5, 1.5))
def test_a_face_looks_like_itself(seed: int, light: float, off_px: float) -> None:
    """Another look at one face, in other light and a little beside, is like it; a look at another one is not."""
    looks = Likeness()
    first = look_at(texture(seed), PLACE)  # type: ignore[arg-type]
    assert first is not None
    assert looks.to(first) is None
    looks.add(first)
    again = look_at((texture(seed) * light).astype(np.uint8), {side: at + off_px for side, at in PLACE.items()})  # type: ignore[misc]
    other = look_at(texture(seed + 1000), PLACE)  # type: ignore[arg-type]
    assert (looks.to(again) or 0) > 0.8
    assert (looks.to(other) or 0) < 0.6
    assert look_at(texture(seed), {"left": PLACE["left"]}) is None


def test_a_number_goes_back_to_its_face_alone() -> None:
    """A lost face that comes back in time has its number; another face at its place waits, and gets none of it."""
    mine, other = (look_at(texture(seed), PLACE) for seed in (1, 2))  # type: ignore[arg-type]
    assert mine is not None
    looks, box = Likeness(), Box(60, 20, 100, 100)
    looks.add(mine)
    memory = Memory()
    memory.add(7, box, looks, 10.0)
    assert memory.recall([(box, other)], 10.1) == {}
    assert memory.is_to_wait(box, other, 10.1)
    assert not memory.is_to_wait(box, other, 10.4)
    assert not memory.is_to_wait(Box(900, 20, 100, 100), other, 10.1)
    back = memory.recall([(box, other), (Box(150, 20, 100, 100), mine)], 10.5)
    assert {index: number for index, (number, _) in back.items()} == {1: 7}
    assert not memory
    memory.add(7, box, looks, 10.0)
    assert memory.recall([(box, mine)], 11.2) == {}
