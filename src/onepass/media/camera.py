"""Cameras, read with OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass._printable import counted
from onepass.media.frames import Frame, Source


class CameraSource(Source):
    """A camera by number, or anything else that OpenCV can capture from, such as ``/dev/video2`` or a video file.

    A file acts as a camera that delivers frames as fast as they are read, and ends with the file.
    """

    live = True
    sequence = True

    def __init__(
        self, device: int | str = 0, *, fps: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open the camera.

        Args:
            device: Camera number (0 is the first), or a path.
            fps: Frames per second to request; the camera may choose another rate.
            clock: The clock for frame times, in seconds.

        Raises:
            InputError: `fps` or the camera number is negative.
            MediaError: The camera does not exist, or another program uses it.
            MissingExtraError: OpenCV is not installed.
        """
        super().__init__(f"camera:{device}")
        if fps is not None and not 0 < fps < np.inf:
            raise InputError(f"fps must be a number > 0, got {fps}")
        if isinstance(device, int) and device < 0:
            raise InputError(f"camera numbers start at 0, got {device}")
        self._cv2 = optional("cv2", extra="gaze", purpose="Reading a camera")
        self._clock = clock
        self._capture = self._opened(device)
        if fps is not None:
            self._capture.set(self._cv2.CAP_PROP_FPS, fps)
        told = float(self._capture.get(self._cv2.CAP_PROP_FPS))  # 0 or NaN if the driver does not know
        self.fps = told if 0 < told < np.inf else None
        # Cameras report no frame count, or a negative one.
        count = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count = count if count > 0 else None

    def _opened(self, device: int | str) -> Any:
        log = self._cv2.utils.logging
        level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # OpenCV logs every backend that it tries
        try:
            capture = self._cv2.VideoCapture(device)
        finally:
            log.setLogLevel(level)
        if not capture.isOpened():
            raise MediaError(
                f"cannot open {self.name}. Check that it is connected, that you have permission (on Linux, the group "
                "'video'), and that no other program uses it. Camera numbers start at 0: camera:0, camera:1"
            )
        return capture

    def __iter__(self) -> Iterator[Frame]:
        index, start = 0, 0.0
        while True:
            try:
                there, bgr = self._capture.read()
            except self._cv2.error as error:
                raise MediaError(f"{self.name} failed after {counted(index, 'frame')}: {error}") from error
            if not there:
                break
            now = self._clock()
            start = now if index == 0 else start
            yield Frame(self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB), index, now - start, f"{index:06}.jpg")
            index += 1
        if self.frame_count is None or index == 0:
            what = "delivered no frame" if index == 0 else f"stopped after {counted(index, 'frame')}"
            raise MediaError(f"{self.name} {what}; check that it is connected, and that no other program uses it")

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()
