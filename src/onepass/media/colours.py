"""Which colours a video's numbers stand for: BT.709 in HD, BT.601 below, as players take what is not tagged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_UNSPECIFIED = 2
# From this size on, untagged videos are HD for players.
_HD_WIDTH, _HD_HEIGHT = 1280, 720


@dataclass(frozen=True, slots=True)
class Colours:
    """How RGB becomes YUV.

    Attributes:
        matrix: swscale's name.
        matrix_code: Code of the matrix in the file (ITU-T H.273), and of primaries and transfer, `primaries_code`.
        primaries_code: See there.
    """

    matrix: str
    matrix_code: int
    primaries_code: int

    def tag(self, encoder: Any) -> None:
        """Have a PyAV encoder write into the file what the numbers stand for."""
        encoder.colorspace = self.matrix_code
        encoder.color_primaries = encoder.color_trc = self.primaries_code
        encoder.color_range = 1  # from 16 to 235

    def yuv(self, frame: Any) -> Any:
        """Return a PyAV frame of RGB as YUV 4:2:0."""
        return frame.reformat(format="yuv420p", dst_colorspace=self.matrix, dst_color_range="MPEG")


_BT709 = Colours("ITU709", 1, 1)
_BT601 = Colours("ITU601", 6, 6)


def usual_colours(width: int, height: int) -> Colours:
    """Return what a video of this size is written in."""
    return _BT709 if width >= _HD_WIDTH or height >= _HD_HEIGHT else _BT601


def rgb(frame: Any, width: int) -> Any:
    """Return a decoded PyAV frame as uint8 RGB [H, W, 3] of a width, by its own colours or else by the usual ones."""
    untagged = frame.colorspace == _UNSPECIFIED
    matrix = usual_colours(frame.width, frame.height).matrix if untagged else None
    return frame.to_ndarray(format="rgb24", width=width, src_colorspace=matrix)
