"""Cameras, read with OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass.media.frames import Frame, Source


class CameraSource(Source):
    """A camera: by number, or anything else that OpenCV opens as a capture, as ``/dev/video2`` or a video file.

    A file plays the part of a camera: as fast as it is read, and ending where the file does.
    """

    live = True
    sequence = True

    def __init__(
        self, device: int | str = 0, *, fps: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open the camera.

        Args:
            device: Its number (0 is the first), or a path.
            fps: Frames a second to ask it for; it may answer with others.
            clock: Where frames take their time from, in seconds.

        Raises:
            InputError: `fps` or the number is negative.
            MediaError: There is no such camera, or another program has it.
            MissingExtraError: OpenCV is not installed.
        """
        super().__init__(f"camera:{device}")
        if fps is not None and not 0 < fps < np.inf:
            raise InputError(f"fps must be a number above 0, got {fps}")
        if isinstance(device, int) and device < 0:
            raise InputError(f"cameras are counted from 0, got {device}")
        self._cv2 = optional("cv2", extra="gaze", purpose="Reading a camera")
        self._clock = clock
        self._capture = self._opened(device)
        if fps is not None:
            self._capture.set(self._cv2.CAP_PROP_FPS, fps)
        told = float(self._capture.get(self._cv2.CAP_PROP_FPS))  # 0 or NaN where the driver does not know
        self.fps = told if 0 < told < np.inf else None
        # A camera has no count, or a negative one.
        count = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count = count if count > 0 else None

    def _opened(self, device: int | str) -> Any:
        log = self._cv2.utils.logging
        level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # it tells of every way that it tried
        try:
            capture = self._cv2.VideoCapture(device)
        finally:
            log.setLogLevel(level)
        if not capture.isOpened():
            raise MediaError(
                f"{self.name} cannot be opened. Is it plugged in, may you use it (on Linux: the group 'video'), and "
                "has no other program got it? Cameras are counted from 0: camera:0, camera:1"
            )
        return capture

    def __iter__(self) -> Iterator[Frame]:
        index, start = 0, 0.0
        while True:
            try:
                there, bgr = self._capture.read()
            except self._cv2.error as error:
                raise MediaError(f"{self.name} failed after {index} frames: {error}") from error
            if not there:
                break
            now = self._clock()
            start = now if index == 0 else start
            yield Frame(self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB), index, now - start, f"{index:06}.jpg")
            index += 1
        if self.frame_count is None or index == 0:
            what = "gave no frame" if index == 0 else f"gave no more after {index} frames"
            raise MediaError(f"{self.name} {what}; was it unplugged, closed, or taken by another program?")

    def close(self) -> None:
        """Give the camera back."""
        self._capture.release()
