"""What every source of pictures gives, and every sink takes: `Frame`, `Source`, `Sink`."""

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
        picture: uint8, RGB [H, W, 3], as all sources give it; of one's own making also grey [H, W].
        index: Its number in the source, from 0. A camera's frames that nobody had time for are numbered too.
        seconds: Its time since the source began; None for pictures that have no time.
        name: What to call it: the file name of a picture, the number of a frame with ``.jpg`` after it.
        connection: How often the stream it is from was opened again before it came.
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
    """Where frames come from. Iterate over it once, and close it, or use it in a ``with`` block.

    Attributes:
        name: What the user calls it.
        live: Whether time does not wait for whoever reads: a frame that comes late is better left out.
        sequence: Whether each frame follows from the one before, as in a video, so that faces can be tracked.
        fps: Frames a second as the source tells it; None where it has none.
        frame_count: How many frames there will be, as far as the source knows.
        notes: What went less than well, for people: files that were skipped, a video that ends early.
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
            MediaError: The source holds no frame, or is gone.
        """

    def stop(self) -> None:  # noqa: B027 - most wait for nothing
        """Wait no longer for frames that may never come; to be called from any thread, or from a signal's handler."""

    def close(self) -> None:  # noqa: B027 - a picture has nothing to close
        """Let go of the file or device. Closing twice is allowed."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Sink(ABC):
    """Where frames go. What was written is kept, however the ``with`` block ends.

    Attributes:
        notes: What went less than well, for people: sound that was left out.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    @abstractmethod
    def write(self, frame: Frame, picture: Picture) -> None:
        """Write a picture that was made of a frame.

        Args:
            frame: Its index, time and name.
            picture: uint8, RGB [H, W, 3] or grey [H, W].

        Raises:
            InputError: It is no picture.
            MediaError: It cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what is there, and put it where it belongs. Closing twice is allowed.

        Raises:
            MediaError: It cannot be finished.
        """

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
