"""Times of frames rise, whatever a file says of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass.media import VideoSource
from onepass.media.times import BestEffort, Timeline

from .clips import flat_pictures, write_clip

TIMES = st.one_of(st.none(), st.floats(-1e3, 1e5))


@given(st.lists(st.tuples(TIMES, st.floats(0, 2))))
def test_times_always_rise(given_times: list[tuple[float | None, float]]) -> None:
    """Whatever comes, each time is later than the one before."""
    timeline = Timeline(0.04)
    placed = [timeline.place(raw, duration) for raw, duration in given_times]
    assert all(before < after for before, after in pairwise(placed))


@given(st.floats(-10, 10), st.lists(st.floats(0.002, 100)))
def test_times_that_rise_stay(start: float, steps: list[float]) -> None:
    """Uneven times and gaps are true, and stay as they are."""
    times = np.cumsum([start, *steps]).tolist()
    timeline = Timeline(0.04)
    assert [timeline.place(raw) for raw in times] == times


@given(st.integers(2, 6), st.integers(5, 30), st.sampled_from([0.02, 0.04, 0.1]), st.floats(0, 50))
def test_joined_recordings_go_on(parts: int, frames: int, step: float, start: float) -> None:
    """Each part begins one frame after the last of the part before."""
    timeline = Timeline(0.5)
    placed = [timeline.place(start + index * step, step) for _ in range(parts) for index in range(frames)]
    assert np.diff(placed) == pytest.approx(np.full(parts * frames - 1, step))


def test_sound_is_moved_as_the_pictures_were() -> None:
    """A joint of the sound takes over by how much the pictures were moved, also where that leaves an overlap."""
    pictures, sound = Timeline(0.1), Timeline(0.02)
    for index in [*range(10), *range(10)]:
        pictures.place(index * 0.1)
    assert pictures.joints == pytest.approx([1.0])
    for index in range(55):
        sound.place(index * 0.02)
    assert sound.is_joint(0.0)
    assert not sound.is_joint(1.07)
    times = [sound.place(index * 0.02, moved=pictures.joints[0]) for index in range(20)]
    assert times[:5] == pytest.approx([1.081, 1.082, 1.083, 1.084, 1.085])
    assert times[5:] == pytest.approx([1.0 + index * 0.02 for index in range(5, 20)])


def test_missing_times_follow_at_the_usual_distance() -> None:
    """A frame without a time comes after the one before is over; a time that stands still waits for the next."""
    timeline = Timeline(0.1)
    assert [timeline.place(None), timeline.place(None), timeline.place(None, 0.3), timeline.place(None)] == (
        pytest.approx([0.0, 0.1, 0.2, 0.5])
    )
    timeline = Timeline(0.1)
    assert [timeline.place(raw) for raw in (0.0, 0.1, 0.1, 0.1, 0.2)] == pytest.approx([0.0, 0.1, 0.101, 0.102, 0.2])


def test_the_better_of_two_times() -> None:
    """Times of showing count until they go back more often than those of decoding."""
    best = BestEffort()
    assert [best.choose(shown, decoded) for shown, decoded in ((1, 1), (4, 2), (3, 3), (None, 4), (9, None))] == (
        [1, 4, 3, 4, 9]
    )
    assert best.choose(None, None) is None


def test_joined_broadcasts_have_rising_times(tmp_path: Path) -> None:
    """Three transport streams, one after the other in one file, play for three seconds."""
    pytest.importorskip("av", reason="needs PyAV: pip install '.[gaze]'")
    part = write_clip(tmp_path / "part.ts", flat_pictures(10), sound=None).read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 3)
    times = [frame.seconds for frame in VideoSource(tmp_path / "joined.ts")]
    assert times == pytest.approx([index / 10 for index in range(30)], abs=1e-3)


@pytest.mark.parametrize("b_frames", ["0", "1", "3"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_has_even_times(codec: str, b_frames: str, tmp_path: Path) -> None:
    """AVI does not say when its frames are shown; they come at even steps, from the beginning on."""
    pytest.importorskip("av", reason="needs PyAV: pip install '.[gaze]'")
    clip = write_clip(tmp_path / "a.avi", flat_pictures(20), codec=codec, sound=None, options={"bf": b_frames})
    frames = list(VideoSource(clip))
    assert [frame.seconds for frame in frames] == pytest.approx([index / 10 for index in range(20)], abs=1e-3)
    levels = [frame.picture[-1, -1, 0] for frame in frames]
    assert levels == sorted(levels)
