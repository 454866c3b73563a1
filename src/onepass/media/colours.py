"""Colour spaces of videos: untagged ones are BT.709 in HD and BT.601 below, as in players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_UNSPECIFIED = 2
# Players treat untagged videos as HD from this size.
_HD_WIDTH, _HD_HEIGHT = 1280, 720


@dataclass(frozen=True, slots=True)
class Colours:
    """The conversion from RGB to YUV.

    Attributes:
        matrix: Name of the matrix in swscale.
        matrix_code: Code of the matrix in files (ITU-T H.273).
        primaries_code: Code of primaries and transfer function.
    """

    matrix: str
    matrix_code: int
    primaries_code: int

    def tag(self, encoder: Any) -> None:
        """Let a PyAV encoder write the colour space to the file."""
        encoder.colorspace = self.matrix_code
        encoder.color_primaries = encoder.color_trc = self.primaries_code
        encoder.color_range = 1  # limited range, 16 to 235

    def yuv(self, frame: Any) -> Any:
        """Convert a PyAV frame from RGB to YUV 4:2:0."""
        return frame.reformat(format="yuv420p", dst_colorspace=self.matrix, dst_color_range="MPEG")


_BT709 = Colours("ITU709", 1, 1)
_BT601 = Colours("ITU601", 6, 6)


def usual_colours(width: int, height: int) -> Colours:
    """Return the colour space for writing a video of this size."""
    return _BT709 if width >= _HD_WIDTH or height >= _HD_HEIGHT else _BT601


def rgb(frame: Any, width: int) -> Any:
    """Convert a decoded PyAV frame to uint8 RGB [H, W, 3] of this width, with its own or the usual colour space."""
    untagged = frame.colorspace == _UNSPECIFIED
    matrix = usual_colours(frame.width, frame.height).matrix if untagged else None
    return frame.to_ndarray(format="rgb24", width=width, src_colorspace=matrix)
