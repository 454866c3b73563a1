"""Faces of frame after frame, with reading and working side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from onepass import Session
from onepass.gaze import Box, FoundFace, GazeEstimator, GazeTracker, StreamResult
from onepass.media import Frame, Source
from onepass.runtime.fake import FakeBackend
from tests.threads import wait

pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


PICTURES = [np.full((120, 160, 3), value, np.uint8) for value in range(7)]


def find(grey: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[FoundFace]:
    """Find a face in every picture but the third."""
    if grey[0, 0] == 2:
        return []
    return [FoundFace.from_eye_centres(Box(20, 20, 80, 80), right=(40, 50), left=(80, 54))]


def test_a_stream_gives_a_result_for_each_picture(session: Session, backend: FakeBackend) -> None:
    """Pictures become frames, come back in order with their faces, and share the passes of a batch."""
    results = list(GazeEstimator(session, find).stream(PICTURES, batch=4))
    assert [result.frame.index for result in results] == list(range(7))
    assert [len(result.faces) for result in results] == [1, 1, 0, 1, 1, 1, 1]
    assert all(result.frame.seconds is None for result in results)
    assert [shapes["eye"][0] for shapes, _ in backend.calls] == [6, 6, 6, 6]


class Live(Source):
    """A camera that waits until its first frame is being worked on, and then gives all others at once."""

    live = True
    sequence = True

    def __init__(self) -> None:
        super().__init__("live")
        self.first_is_taken, self.all_given = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for index, picture in enumerate(PICTURES):
            yield Frame(picture, index, index / 10, "a")
            wait(self.first_is_taken)
        self.all_given.set()


def test_a_live_source_is_followed_by_its_newest_frame(session: Session) -> None:
    """The estimator asks the source whether frames may be left out, and the caller can overrule it."""
    source = Live()

    def slow(grey: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[FoundFace]:
        source.first_is_taken.set()
        wait(source.all_given)
        return find(grey)

    results = list(GazeEstimator(session, slow).stream(source))
    assert [(result.frame.index, result.frame.seconds) for result in results] == [(0, 0.0), (6, 0.6)]
    source = Live()
    source.first_is_taken.set()
    kept: list[StreamResult] = list(GazeEstimator(session, find).stream(source, newest=False))
    assert len(kept) == 7


def test_a_tracker_streams_too(session: Session, backend: FakeBackend) -> None:
    """Faces of a stream keep their number, by the frames' times or, where there are none, by their order."""
    frames = [Frame(picture, index, 0.5 * index, "a") for index, picture in enumerate(PICTURES[3:])]
    for given in (frames, PICTURES[3:]):
        tracker = GazeTracker(GazeEstimator(session, find), every=2)
        results = list(tracker.stream(given))
        assert [[face.id for face in result.faces] for result in results] == [[0]] * 4
    assert {shapes["eye"][0] for shapes, _ in backend.calls} == {2}
