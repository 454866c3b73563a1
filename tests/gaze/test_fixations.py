"""Fixations and saccades, on signals that are made up, so that the right answer is known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass import InputError
from onepass.gaze import EyeMovement, Gaze, MovementFinder


def signal(
    places_deg: list[tuple[float, float]], samples: list[int], jump: int, noise_deg: float, seed: int = 0
) -> list[Gaze]:
    """Return a gaze that rests at each place (yaw, pitch) for so many samples, and takes `jump` samples in between."""
    angles = [np.repeat([places_deg[0]], samples[0], axis=0)]
    for before, after, count in zip(places_deg, places_deg[1:], samples[1:], strict=False):
        share = (np.arange(jump) + 1)[:, None] / (jump + 1)
        angles += [(1 - share) * np.array(before) + share * np.array(after), np.repeat([after], count, axis=0)]
    joined = np.concatenate(angles)
    joined = joined + np.random.default_rng(seed).normal(0, noise_deg, joined.shape)
    return [Gaze(np.radians(pitch), np.radians(yaw)) for yaw, pitch in joined]


def of_kind(found: list[EyeMovement], kind: str) -> list[EyeMovement]:
    """Return the movements of one kind."""
    return [movement for movement in found if movement.kind == kind]


PLACES = st.lists(st.tuples(st.floats(-25, 25), st.floats(-15, 15)), min_size=1, max_size=5).filter(
    lambda places: all(np.hypot(a - c, b - d) > 8 for (a, b), (c, d) in pairwise(places))
)


@pytest.mark.parametrize("method", ["velocity", "dispersion"])
@settings(deadline=None, max_examples=40)
@given(places=PLACES, fps=st.sampled_from([30.0, 60.0, 120.0]), seed=st.integers(0, 99))
def test_what_was_made_up_is_found(method: Any, places: list[tuple[float, float]], fps: float, seed: int) -> None:
    """Each rest is a fixation at its place and length, each jump a saccade of its amplitude, at any rate."""
    samples = [round(0.4 * fps)] * len(places)
    gazes = signal(places, samples, jump=0, noise_deg=0.05, seed=seed)
    times = np.arange(len(gazes)) / fps
    found = MovementFinder(method, max_speed_deg_s=60, max_dispersion_deg=2)(gazes, times)
    rests, jumps = of_kind(found, "fixation"), of_kind(found, "saccade")
    assert len(rests) == len(places)
    assert len(jumps) == len(places) - 1
    for rest, (yaw, pitch) in zip(rests, places, strict=True):
        assert (rest.centre.yaw_deg, rest.centre.pitch_deg) == pytest.approx((yaw, pitch), abs=0.2)
        assert rest.duration_seconds == pytest.approx(0.4, abs=2.1 / fps)
    for jump, before, after in zip(jumps, rests, rests[1:], strict=False):
        assert jump.amplitude_deg == pytest.approx(before.centre.degrees_to(after.centre), abs=0.5)
        assert jump.peak_speed_deg_s == pytest.approx(jump.amplitude_deg * fps, rel=0.1)
        assert before.end_seconds <= jump.start_seconds < jump.end_seconds <= after.start_seconds + 1 / fps


@pytest.mark.parametrize("method", ["velocity", "dispersion"])
def test_a_jump_that_takes_some_samples_is_one(method: Any) -> None:
    """A saccade of four samples is one, as long as it takes."""
    gazes = signal([(-10, 0), (14, 5)], [30, 30], jump=3, noise_deg=0.02)
    found = MovementFinder(method, max_dispersion_deg=2)(gazes, np.arange(len(gazes)) / 60)
    (jump,) = of_kind(found, "saccade")
    assert jump.amplitude_deg == pytest.approx(np.hypot(24, 5), abs=0.5)
    assert jump.duration_seconds == pytest.approx(4 / 60)


def test_slow_drift_is_a_fixation_by_velocity_and_several_by_dispersion() -> None:
    """The two ways differ where a gaze follows something slowly: 20 degrees a second for two seconds."""
    gazes = [Gaze(0.0, np.radians(20 * index / 60 - 20)) for index in range(120)]
    times = np.arange(120) / 60
    assert len(MovementFinder("velocity")(gazes, times)) == 1
    assert len(of_kind(MovementFinder("dispersion")(gazes, times), "fixation")) > 5


@pytest.mark.parametrize("method", ["velocity", "dispersion"])
def test_nothing_goes_on_over_a_gap(method: Any) -> None:
    """A blink, of which there are no samples, ends a fixation, and is no saccade."""
    gazes = signal([(0, 0)], [60], 0, 0.05)
    times = np.concatenate([np.arange(30), np.arange(30) + 45]) / 60
    found = MovementFinder(method)(gazes, times)
    assert [movement.kind for movement in found] == ["fixation", "fixation"]
    assert [movement.samples for movement in found] == [30, 30]


def test_rests_that_are_too_short_are_none() -> None:
    """Three samples at 60 a second are no fixation of a tenth of a second; no samples at all are nothing."""
    gazes = signal([(0, 0), (15, 0), (0, 0)], [30, 3, 30], 0, 0.02)
    for method in ("velocity", "dispersion"):
        found = MovementFinder(method, max_dispersion_deg=2)(gazes, np.arange(len(gazes)) / 60)
        assert len(of_kind(found, "fixation")) == 2
    assert MovementFinder()([], []) == []


def test_wrong_use_is_refused() -> None:
    """Another method, thresholds of 0, times that do not rise or are too few are refused by name."""
    with pytest.raises(InputError, match="'velocity', 'dispersion'"):
        MovementFinder("guess")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_speed_deg_s"):
        MovementFinder(max_speed_deg_s=0)
    for times in ([0.0, 0.0], [0.0]):
        with pytest.raises(InputError, match="increasing times"):
            MovementFinder()([Gaze(0, 0)] * 2, times)
