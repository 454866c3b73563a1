"""The interfaces of picture sources and sinks: `Frame`, `Source`, `Sink`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from onepass._errors import InputError
from onepass.media.pictures import Picture, check_picture


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One picture of a source.

    Attributes:
        picture: uint8 RGB [H, W, 3]; frames that you create may also be grey [H, W].
        index: Its number in the source, from 0. Dropped camera frames count, too.
        seconds: Its time since the start of the source; None for pictures without a time.
        name: The picture's file name, or the frame's number with the suffix ``.jpg``.
        connection: How often its stream had been reconnected before this frame.
    """

    picture: Picture
    index: int
    seconds: float | None
    name: str
    connection: int = 0

    def __post_init__(self) -> None:
        check_picture(self.picture)
        if self.index < 0:
            raise InputError(f"a frame's index must be at least 0, got {self.index}")
        if self.seconds is not None and not np.isfinite(self.seconds):
            raise InputError(f"a frame's time must be finite, got {self.seconds}")

    def __repr__(self) -> str:
        return f"Frame({list(self.picture.shape)}, index={self.index}, seconds={self.seconds}, name={self.name!r})"


class Source(ABC):
    """A source of frames. Iterate over it once, then close it, or use it in a ``with`` block.

    Attributes:
        name: The user's name for the source.
        live: Whether frames arrive in real time, so that late frames should be dropped.
        sequence: Whether frames are consecutive, as in a video, so that faces can be tracked.
        fps: Frames per second according to the source; None if unknown.
        frame_count: Number of frames, if the source knows it.
        notes: Warnings for people, such as skipped files or a truncated video.
    """

    name: str
    live: bool = False
    sequence: bool = False
    fps: float | None = None
    frame_count: int | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, in order.

        Raises:
            MediaError: The source has no frame, or is gone.
        """

    def stop(self) -> None:  # noqa: B027 - most sources never wait
        """Stop waiting for frames that may never arrive. Call it from any thread, or from a signal handler."""

    def close(self) -> None:  # noqa: B027 - a picture has nothing to close
        """Release the file or device. Closing twice is allowed."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Sink(ABC):
    """A destination for frames. Written frames are kept, however the ``with`` block ends.

    Attributes:
        notes: Warnings for people, such as omitted sound.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    @abstractmethod
    def write(self, frame: Frame, picture: Picture) -> None:
        """Write the picture made from a frame.

        Args:
            frame: The frame, for index, time and name.
            picture: uint8, RGB [H, W, 3] or grey [H, W].

        Raises:
            InputError: The array is not a picture.
            MediaError: The picture cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the output and put it in place. Closing twice is allowed.

        Raises:
            MediaError: The output cannot be finished.
        """

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
