"""The eight ways in which a picture can lie: turned by quarters, mirrored, or both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def turned(picture: npt.NDArray[np.uint8], matrix: tuple[float, float, float, float]) -> npt.NDArray[np.uint8]:
    """Return a picture as a display matrix wants it to be seen.

    With a matrix of (a, b, c, d), a pixel at (x, y) is shown at (a x + c y, b x + d y), y down, as QuickTime has it.
    Other angles go to the nearest of the eight ways.

    Args:
        picture: uint8 [H, W, 3].
        matrix: Four numbers, of any scale.
    """
    a, b, c, d = matrix
    across, down = a, d
    if abs(b) + abs(c) > abs(a) + abs(d):
        picture = picture.transpose(1, 0, 2)
        across, down = c, b
    return np.ascontiguousarray(picture[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
