"""Which screens there are, by mss, which asks the system; and which of them is meant."""

from __future__ import annotations

import re

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass.gaze.screen.sample import Screen

_PURPOSE = "A screen that is given by number or name, not by its size (1920x1080),"
_SIZE = re.compile(r"(\d+)x(\d+)", re.ASCII | re.IGNORECASE)
_PLACE = re.compile(r"(-?\d+),(-?\d+),(\d+)x(\d+)", re.ASCII | re.IGNORECASE)


def connected_screens() -> list[Screen]:
    """Return the screens that are connected, in the system's order.

    Raises:
        MissingExtraError: mss is not installed; the extra ``screens`` brings it.
        MediaError: The system does not say, as where there is no display.
    """
    mss = optional(
        "mss", extra="screens", purpose="A screen that is given by number or name, not by its size (1920x1080),"
    )
    try:
        with mss.MSS() as system:
            monitors = system.monitors[1:]  # the first one is all of them together
    except mss.ScreenShotError as error:
        raise MediaError(
            f"cannot ask which screens there are ({error}); give the size of the screen in pixels, as 1920x1080"
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
    """Return the screen that a text means.

    Args:
        text: A size in pixels, ``1920x1080``; the same with the place of the upper left corner on the desktop,
            ``1920,0,1920x1080``; or, of the `connected_screens`, a number from 1 or a name, as ``HDMI-1``.

    Raises:
        InputError: There is no such screen, or it has no pixels.
        MissingExtraError: mss is needed to find it, and not installed.
        MediaError: The system does not say which screens there are.
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
        f"{'several screens are called' if meant else 'there is no screen'} {text!r}. These are connected: "
        f"{known or 'none'}. Give the number or name of one, or size and place in pixels: 1920x1080, 1920,0,1920x1080"
    )
