"""Smoothing and blinks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass import InputError
from onepass.gaze import BlinkDetector, Gaze, HeadPose, OneEuroFilter, Smoothing
from onepass.gaze.video.smoothing import EyeFilter, HeadFilter

from .test_result import make_eye

OPEN = make_eye(gaze=Gaze(0.1, 0.2))
SHUT = replace(OPEN, eyelid=np.array(OPEN.eyelid) * (1, 0.3) + (0, 35), gaze=Gaze(-0.8, 0.0))


def times(count: int, rate_hz: float = 30.0) -> list[float]:
    """Return the times of so many frames."""
    return [index / rate_hz for index in range(count)]


def test_a_signal_at_rest_gets_calm() -> None:
    """Noise around a constant comes out at less than a third of its strength."""
    noise = np.random.default_rng(0).normal(size=(300, 1))
    filtered = OneEuroFilter(1.0, 0.0)
    smooth = np.array([filtered(value, seconds) for value, seconds in zip(noise, times(300), strict=True)])
    assert smooth[30:].std() < noise.std() / 3


def test_a_jump_is_followed_at_once() -> None:
    """With beta, a fast move has arrived within 100 ms; without, the same filter still lags behind."""
    jump = np.repeat([0.0, 1.0], 30)

    def after_100_ms(beta: float) -> float:
        filtered = OneEuroFilter(1.0, beta)
        return float([filtered([value], seconds)[0] for value, seconds in zip(jump, times(60), strict=True)][33])

    assert after_100_ms(beta=10.0) > 0.95
    assert after_100_ms(beta=0.0) < 0.7


@settings(deadline=None, max_examples=40)
@given(st.floats(-3, 3), st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=9))
def test_points_are_smoothed_alike_however_they_are_turned(angle: float, points: list[tuple[float, float]]) -> None:
    """Turning the points and then smoothing is smoothing and then turning."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    one, other = OneEuroFilter(1.0, 2.0), OneEuroFilter(1.0, 2.0)
    for point, seconds in zip(np.array(points), times(len(points)), strict=True):
        np.testing.assert_allclose(other(turn @ point, seconds), turn @ one(point, seconds), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(1e-3, 10))
def test_a_smoothed_step_lies_between(start: float, end: float, passed: float) -> None:
    """A sample never overshoots, however long the gap between frames was."""
    filtered = OneEuroFilter(1.0, 1.0)
    assert filtered([start], 0.0) == [start]
    (value,) = filtered([end], passed)
    assert min(start, end) - 1e-9 <= value <= max(start, end) + 1e-9


def test_two_samples_of_one_time_are_one() -> None:
    """A frame that carries the time of the one before is no division by zero."""
    filtered = OneEuroFilter()
    filtered([1.0], 2.0)
    assert filtered([5.0], 2.0) == [1.0]


def test_true_times_count() -> None:
    """After a longer gap the filter goes further towards the new value."""
    near, far = OneEuroFilter(1.0, 0.0), OneEuroFilter(1.0, 0.0)
    near([0.0], 0.0)
    far([0.0], 0.0)
    assert near([1.0], 0.03)[0] < far([1.0], 0.3)[0] / 2


@pytest.mark.parametrize("wrong", [{"min_cutoff_hz": 0.0}, {"points_beta": -1.0}, {"gaze_beta": float("nan")}])
def test_impossible_filters_are_refused(wrong: dict[str, float]) -> None:
    """Cutoffs are above 0 and betas at least 0."""
    with pytest.raises(InputError, match="One Euro"):
        Smoothing(**wrong)


def test_a_blink_is_seen_once() -> None:
    """An eye that closes and opens blinks once, though its lids tremble at the threshold."""
    lids = [0.2] * 5 + [0.12, 0.09, 0.1, 0.09, 0.03, 0.05, 0.1, 0.09, 0.11, 0.16] + [0.2] * 5
    detector = BlinkDetector()
    shut = [detector(openness, seconds) for openness, seconds in zip(lids, times(len(lids)), strict=True)]
    assert np.count_nonzero(np.diff(shut)) == 2
    assert shut[9]
    assert not shut[-1]


def test_narrow_eyes_are_not_shut() -> None:
    """An eye that is never far open is open once that is known, and its blinks are seen all the same."""
    detector = BlinkDetector()
    assert [detector(0.115, seconds) for seconds in times(600)][-1] is False
    assert detector.usual_openness == pytest.approx(0.12, abs=0.02)
    assert not detector(0.08, 21.0)
    assert detector(0.05, 21.1)


def test_a_long_shut_eye_stays_shut() -> None:
    """What an eye is usually like is not learned while it is shut."""
    detector = BlinkDetector()
    assert all(detector(0.05, seconds) for seconds in times(900))


@pytest.mark.parametrize("shares", [(0.0, 0.5), (0.6, 0.5), (0.5, 1.0)])
def test_impossible_thresholds_are_refused(shares: tuple[float, float]) -> None:
    """An eye opens at no less than it shuts at, and both lie within 0 to 1."""
    with pytest.raises(InputError, match="shut_share"):
        BlinkDetector(*shares)


@pytest.mark.parametrize("smoothing", [None, Smoothing()], ids=["as seen", "smoothed"])
def test_a_blink_holds_the_gaze(smoothing: Smoothing | None) -> None:
    """The gaze stays what it was before the lids came down, though they drag it down first, and then goes on."""
    dragged = replace(OPEN, gaze=Gaze(-0.3, 0.2))
    eyes = [OPEN] * 10 + [dragged] * 2 + [SHUT] * 4 + [OPEN] * 3
    follow = EyeFilter(smoothing)
    shown = [follow(eye, seconds) for eye, seconds in zip(eyes, times(len(eyes)), strict=True)]
    assert [eye.blink for eye in shown] == [False] * 12 + [True] * 4 + [False] * 3
    for eye in shown[12:]:
        assert eye.gaze.degrees_to(OPEN.gaze) < 1e-6
    assert shown[15].openness < 0.1


def test_lids_that_are_not_seen_do_not_open() -> None:
    """A shut eye of which the network sees nothing stays shut, and one that was open is not shut by that."""
    unseen = replace(OPEN, confidence=0.1)
    follow = EyeFilter(Smoothing())
    eyes = [OPEN] * 9 + [unseen] + [SHUT] * 2 + [unseen] * 2 + [OPEN]
    shown = [follow(eye, seconds) for eye, seconds in zip(eyes, times(len(eyes)), strict=True)]
    assert [eye.blink for eye in shown] == [False] * 10 + [True] * 4 + [False]


def test_an_eye_that_was_never_open_looks_where_it_looks() -> None:
    """There is nothing to hold in the first frame."""
    shown = EyeFilter(Smoothing())(SHUT, 0.0)
    assert shown.blink
    assert shown.gaze == SHUT.gaze


def test_an_eye_at_rest_gets_calm() -> None:
    """Points and gaze of a trembling eye come out calmer, and an eye comes out as it is without smoothing."""
    random = np.random.default_rng(1)
    eyes = [
        replace(OPEN, iris_centre=OPEN.iris_centre + random.normal(size=2), gaze=Gaze(*(0.05 * random.normal(size=2))))
        for _ in range(120)
    ]
    follow, leave = EyeFilter(Smoothing()), EyeFilter(None)
    shown = [follow(eye, seconds) for eye, seconds in zip(eyes, times(120), strict=True)]
    same = [leave(eye, seconds) for eye, seconds in zip(eyes, times(120), strict=True)]
    np.testing.assert_array_equal([eye.iris_centre for eye in same], [eye.iris_centre for eye in eyes])
    for before, after in (
        ([eye.iris_centre for eye in eyes], [eye.iris_centre for eye in shown]),
        ([eye.gaze.vector for eye in eyes], [eye.gaze.vector for eye in shown]),
    ):
        assert np.std(after[20:], axis=0).max() < 0.6 * np.std(before[20:], axis=0).max()


def test_head_poses_are_smoothed() -> None:
    """A trembling head gets calm and stays a rotation; one that is not known stays unknown."""
    random = np.random.default_rng(2)
    follow = HeadFilter(Smoothing())
    given_rad = 0.3 + 0.05 * random.normal(size=120)
    shown = [follow(HeadPose(0.1, yaw, 0.0), seconds) for yaw, seconds in zip(given_rad, times(120), strict=True)]
    angles = np.array([head.yaw_rad for head in shown if head is not None])
    assert angles[20:].std() < 0.6 * given_rad[20:].std()
    assert angles[20:].mean() == pytest.approx(0.3, abs=0.02)
    assert follow(None, 9.0) is None
    assert HeadFilter(None)(HeadPose(0.1, 0.2, 0.3), 0.0) == HeadPose(0.1, 0.2, 0.3)
