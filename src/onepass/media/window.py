"""A window that shows pictures live."""

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
    """An OpenCV window. Use it from the main thread, in a ``with`` block.

    The extra ``gaze`` installs OpenCV's server package, which has no windows; `opencv-python` has them.
    """

    def __init__(
        self, title: str, *, fullscreen: bool = False, mirror: bool = False, at_px: tuple[int, int] | None = None
    ) -> None:
        """Open the window.

        Args:
            title: The window's title.
            fullscreen: Whether the window fills the screen.
            mirror: Whether to mirror pictures, as people in front of a camera expect.
            at_px: Left and top edge on the desktop; None lets the system choose. With several screens, `fullscreen`
                uses the screen at this position. Wayland ignores positions, but windows of `opencv-python` use X11
                there.

        Raises:
            MediaError: There is no display, or this OpenCV has no window support; the message says what to install.
            MissingExtraError: OpenCV is not installed.
        """
        self._cv2 = optional("cv2", extra="gaze", purpose="A window")
        self._title, self._mirror = title, mirror
        # On Linux, Qt draws the windows and ends the whole program if there is no display.
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise MediaError("cannot open a window: no display found (DISPLAY is not set); write to a file instead")
        try:
            self._cv2.namedWindow(title, self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO)
        except self._cv2.error as error:
            raise MediaError(
                "this OpenCV cannot open windows, because opencv-python-headless is for servers. Replace it: "
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
            hold: Polled while the picture is shown; as long as it returns True, `show` waits for a key.

        Returns:
            Whether to continue: False after the window was closed, or Escape or q was pressed.
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
