"""Process frames with reading, analysis and the caller's work in parallel."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from onepass.gaze.result import Face, Side
from onepass.media import Frame, Picture, Source
from onepass.media.pipeline import side_by_side


@dataclass(frozen=True, slots=True, eq=False)
class StreamResult:
    """The result of one frame.

    Attributes:
        frame: The frame.
        faces: The faces in it.
        finder: Name of the face finder (`onepass.gaze.find.faces.name_of`); None if unknown.
    """

    frame: Frame
    faces: tuple[Face, ...]
    finder: str | None = None


def stream_frames(
    frames: Iterable[Frame | Picture],
    faces_of: Callable[[list[Frame]], Iterable[Sequence[Face]]],
    *,
    batch: int = 1,
    newest: bool | None = None,
    eye: Side | None = None,
    finder: str | None = None,
) -> Generator[StreamResult, None, None]:
    """Find faces in frames, `side_by_side` with reading them.

    Args:
        frames: A source of `onepass.media`, or any frames or pictures; pictures have no time.
        faces_of: Takes up to `batch` frames and returns the faces of each.
        batch: Number of frames to analyse together.
        newest: Whether to drop frames when the analysis falls behind; None decides by the source: True for a camera,
            False for a video.
        eye: Return only this eye of each face, and only faces that have it; None for both.
        finder: Name of the face finder.

    Raises:
        InputError: `batch` is below 1, or above 1 with `newest`.
    """
    if newest is None:
        newest = isinstance(frames, Source) and frames.live

    def work(taken: list[Frame]) -> list[StreamResult]:
        return [
            StreamResult(frame, tuple(faces) if eye is None else with_eye(faces, eye), finder)
            for frame, faces in zip(taken, faces_of(taken), strict=True)
        ]

    return side_by_side(_frames_of(frames), work, batch=batch, newest=newest)


def with_eye(faces: Sequence[Face], side: Side) -> tuple[Face, ...]:
    """Return the faces that have this eye, reduced to it."""
    return tuple(replace(face, eyes=(eye,)) for face in faces for eye in face.eyes if eye.side == side)


def _frames_of(items: Iterable[Frame | Picture]) -> Iterator[Frame]:
    """Yield frames unchanged, and pictures as frames without a time."""
    for index, item in enumerate(items):
        yield item if isinstance(item, Frame) else Frame(item, index, None, f"{index:06}.jpg")
