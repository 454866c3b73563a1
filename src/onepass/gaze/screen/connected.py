"""List the connected screens with mss, and select one by name, number or size."""

from __future__ import annotations

import re

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass.gaze.screen.sample import Screen

_PURPOSE = "Selecting a screen by number or name instead of its size (1920x1080)"
_SIZE = re.compile(r"(\d+)x(\d+)", re.ASCII | re.IGNORECASE)
_PLACE = re.compile(r"(-?\d+),(-?\d+),(\d+)x(\d+)", re.ASCII | re.IGNORECASE)


def connected_screens() -> list[Screen]:
    """Return the connected screens, in the system's order.

    Raises:
        MissingExtraError: mss is not installed (the extra ``screens``).
        MediaError: The system cannot list its screens, for example without a display.
    """
    mss = optional("mss", extra="screens", purpose=_PURPOSE)
    try:
        with mss.MSS() as system:
            monitors = system.monitors[1:]  # the first one is all of them together
    except mss.ScreenShotError as error:
        raise MediaError(
            f"cannot list the connected screens ({error}); specify the screen's size in pixels, such as 1920x1080"
        ) from error
    return [
        Screen(
            each["width"],
            each["height"],
            place_px=(each["left"], each["top"]),
            name=each.get("output") or each.get("name"),
        )
        for each in monitors
    ]


def screen_from_text(text: str) -> Screen:
    """Return the screen that a text specifies.

    Args:
        text: A size in pixels, ``1920x1080``; the same with the position of the upper left corner on the desktop,
            ``1920,0,1920x1080``; or the number, from 1, or name, such as ``HDMI-1``, of one of `connected_screens`.

    Raises:
        InputError: The screen does not exist, or its size is zero.
        MissingExtraError: mss is required but not installed.
        MediaError: The system cannot list its screens.
    """
    if size := _SIZE.fullmatch(text):
        return Screen(int(size[1]), int(size[2]))
    if place := _PLACE.fullmatch(text):
        left, top, width, height = map(int, place.groups())
        return Screen(width, height, place_px=(left, top))
    screens = dict(enumerate(connected_screens(), 1))
    meant = [screen for number, screen in screens.items() if text in (str(number), screen.name)]
    if len(meant) == 1:
        return meant[0]
    known = "; ".join(f"{number}: {screen.name or 'no name'}, {screen}" for number, screen in screens.items())
    raise InputError(
        f"{'several screens are named' if meant else 'no screen'} {text!r}. Connected screens: {known or 'none'}. "
        "Specify a number, a name, or size and position in pixels: 1920x1080, 1920,0,1920x1080"
    )
