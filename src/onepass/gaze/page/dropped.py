"""Files dropped on the page: where they are stored, how they are opened, and how the page shows them."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass._printable import printable
from onepass.media import Source, VideoSource, open_source
from onepass.media.folder import fitting_name

MAX_FILE_BYTES = 4 << 30
"""Maximum file size."""

_FOLDER = "dropped"
_MOST_SHOWN_PX = 1280
_JPEG_QUALITY = 85
# FFmpeg's formats that refer to other files: the page accepts only self-contained files.
_LISTS = {"hls", "dash", "concat", "concatf", "imf", "sdp"}


def place_in(folder: Path, name: str) -> Path:
    """Return the path for a file in a session's folder, under its own name; an earlier file is removed.

    Raises:
        InputError: The file name is invalid.
    """
    alone = PurePosixPath(printable(name.replace("\\", "/"))).name
    if not alone or alone.startswith("."):
        raise InputError(f"{name[:80]!r} is not a valid name of a picture or a video")
    place = folder / _FOLDER
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    suffix = PurePosixPath(alone).suffix
    return place / fitting_name(alone.removesuffix(suffix), suffix)


def open_dropped(folder: Path) -> Source:
    """Open the dropped file, as `onepass gaze` does.

    Raises:
        MediaError: There is no file, or it is neither a readable picture nor a readable video.
    """
    files = [file for file in (folder / _FOLDER).glob("*") if file.is_file()]
    if len(files) != 1:
        raise MediaError("no file received; drop a picture or a video on the page")
    source = open_source(files[0], live=False)
    if isinstance(source, VideoSource) and source.container in _LISTS:
        source.close()
        raise MediaError(f"{files[0].name} is a list of other files ({source.container}); drop the video itself")
    return source


def picture_for_page(picture: npt.NDArray[np.uint8]) -> bytes:
    """Return a picture [H, W, 3] as JPEG, scaled down to the page's maximum size."""
    cv2 = optional("cv2", extra="gaze", purpose="Showing pictures")
    scale = _MOST_SHOWN_PX / max(picture.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    encoded: bytes = data.tobytes()
    return encoded
