"""Frames in, results out, with reading, working and writing side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from onepass.gaze.result import Face
from onepass.media import Frame, Picture, Source
from onepass.media.pipeline import side_by_side


@dataclass(frozen=True, slots=True, eq=False)
class StreamResult:
    """What came of one frame.

    Attributes:
        frame: The frame.
        faces: The faces in it.
    """

    frame: Frame
    faces: tuple[Face, ...]


def stream_frames(
    frames: Iterable[Frame | Picture],
    faces_of: Callable[[list[Frame]], Iterable[Sequence[Face]]],
    *,
    batch: int = 1,
    newest: bool | None = None,
) -> Generator[StreamResult, None, None]:
    """Find faces in frame after frame, `side_by_side` with reading them.

    Args:
        frames: A source of `onepass.media`, or any frames or pictures; pictures have no time.
        faces_of: Takes up to `batch` frames and returns the faces of each.
        batch: How many frames to look at together.
        newest: Whether frames for which there is no time are left out; None for what the source calls for: a camera
            yes, a video no.

    Raises:
        InputError: `batch` is below 1, or above 1 where the newest frame counts.
    """
    if newest is None:
        newest = isinstance(frames, Source) and frames.live

    def work(taken: list[Frame]) -> list[StreamResult]:
        return [StreamResult(frame, tuple(faces)) for frame, faces in zip(taken, faces_of(taken), strict=True)]

    return side_by_side(_frames_of(frames), work, batch=batch, newest=newest)


def _frames_of(items: Iterable[Frame | Picture]) -> Iterator[Frame]:
    """Yield frames: those that are, and pictures as frames without a time."""
    for index, item in enumerate(items):
        yield item if isinstance(item, Frame) else Frame(item, index, None, f"{index:06}.jpg")
