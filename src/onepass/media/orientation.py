"""The eight orientations of a picture: rotated by multiples of 90°, mirrored, or both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def turned(picture: npt.NDArray[np.uint8], matrix: tuple[float, float, float, float]) -> npt.NDArray[np.uint8]:
    """Orient a picture according to a display matrix.

    With the matrix (a, b, c, d), the pixel at (x, y) is shown at (a x + c y, b x + d y), y pointing down, as in
    QuickTime. Other angles are rounded to the nearest of the eight orientations.

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
