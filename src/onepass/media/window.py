"""A window that shows pictures as they come."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import TracebackType

from onepass._errors import MediaError
from onepass._optional import optional
from onepass.media.pictures import Picture

_QUIT_KEYS = (27, ord("q"))  # Escape


class Window:
    """A window, through OpenCV. To be used from the main thread, in a ``with`` block.

    The OpenCV that the extra ``gaze`` installs is the one for servers, without windows: `opencv-python` has them.
    """

    def __init__(
        self, title: str, *, fullscreen: bool = False, mirror: bool = False, at_px: tuple[int, int] | None = None
    ) -> None:
        """Open the window.

        Args:
            title: What stands above it.
            fullscreen: Whether it takes the whole screen.
            mirror: Whether to show pictures as a mirror would, which people before a camera are used to.
            at_px: Left and upper edge on the desktop; None leaves that to the system. With several screens, the whole
                screen is the one that this lies on. Wayland itself places windows where it likes; the windows of
                `opencv-python` go through X11 there.

        Raises:
            MediaError: There is no display, or this OpenCV has no windows; the message says what to install.
            MissingExtraError: OpenCV is not installed.
        """
        self._cv2 = optional("cv2", extra="gaze", purpose="A window")
        self._title, self._mirror = title, mirror
        # Qt, which draws the windows on Linux, ends the whole program where there is no display.
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise MediaError("there is no display to open a window on (DISPLAY is not set); write to a file instead")
        try:
            self._cv2.namedWindow(title, self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO)
        except self._cv2.error as error:
            raise MediaError(
                "this OpenCV cannot open windows: opencv-python-headless is the one for servers. Replace it: "
                "pip uninstall opencv-python-headless && pip install 'opencv-python>=4.8,<5'"
            ) from error
        if at_px is not None:
            self._cv2.moveWindow(title, *at_px)
        if fullscreen:
            self._cv2.setWindowProperty(title, self._cv2.WND_PROP_FULLSCREEN, self._cv2.WINDOW_FULLSCREEN)

    def show(self, picture: Picture, *, hold: Callable[[], bool] = lambda: False) -> bool:
        """Show a picture.

        Args:
            picture: uint8 RGB [H, W, 3].
            hold: Asked again and again; as long as it is true, return only once a key was pressed.

        Returns:
            Whether to go on: False once the window was closed, or Escape or q pressed.
        """
        shown = self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2BGR)
        self._cv2.imshow(self._title, self._cv2.flip(shown, 1) if self._mirror else shown)
        key = self._cv2.waitKey(1)
        while self._is_open() and key < 0 and hold():
            key = self._cv2.waitKey(50)
        return self._is_open() and key & 0xFF not in _QUIT_KEYS

    def _is_open(self) -> bool:
        return bool(self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) >= 1)

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cv2.destroyAllWindows()
