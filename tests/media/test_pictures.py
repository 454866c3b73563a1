"""Reading and writing picture files."""

from __future__ import annotations

import resource
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import InputError, MediaError, MissingExtraError
from onepass.media import PICTURE_SUFFIXES, open_source, pictures, read_picture, write_picture

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

# A smooth picture that is no square: red grows to the right, green downwards, blue is constant.
Y, X = np.mgrid[:24, :40]
PICTURE = np.stack([X * 6, Y * 10, np.full_like(X, 60)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", [*PICTURE_SUFFIXES, ".PNG"])
def test_what_was_written_is_read(suffix: str, tmp_path: Path) -> None:
    """A picture survives every format, red stays red, and no other file is left behind."""
    path = tmp_path / f"a picture{suffix}"
    write_picture(path, PICTURE)
    read = read_picture(path)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - PICTURE).mean() < 4
    if suffix in (".png", ".bmp", ".tif", ".tiff"):
        np.testing.assert_array_equal(read, PICTURE)
    assert list(tmp_path.iterdir()) == [path]


def test_grey_becomes_three_channels(tmp_path: Path) -> None:
    """A grey picture is written as it is and read as RGB with equal channels."""
    write_picture(tmp_path / "grey.png", PICTURE[:, :, 0])
    read = read_picture(tmp_path / "grey.png")
    np.testing.assert_array_equal(read, np.repeat(PICTURE[:, :, :1], 3, axis=2))


def test_paths_may_be_text_and_unicode(tmp_path: Path) -> None:
    """A path given as str with letters beyond ASCII works both ways."""
    path = str(tmp_path / "Gesicht äöü 目.png")
    write_picture(path, PICTURE)
    np.testing.assert_array_equal(read_picture(path), PICTURE)


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    """16-bit values come down to 8 by their upper half, not by wrapping or clipping."""
    deep = (PICTURE[:, :, 0].astype(np.uint16) << 8) + 77
    for name in ("deep.png", "deep.tiff"):
        cv2.imwrite(str(tmp_path / name), deep)
        np.testing.assert_array_equal(read_picture(tmp_path / name)[:, :, 1], PICTURE[:, :, 0])


def test_transparency_is_dropped(tmp_path: Path) -> None:
    """A fourth channel does not change the other three."""
    rgba = np.dstack([PICTURE[:, :, ::-1], X.astype(np.uint8)])
    cv2.imwrite(str(tmp_path / "clear.png"), rgba)
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png"), PICTURE)


def jpeg_with_orientation(orientation: int) -> bytes:
    """Return PICTURE as a JPEG whose EXIF header says how to turn it."""
    _, encoded = cv2.imencode(".jpg", PICTURE[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    data = bytes(encoded)
    # TIFF header, one entry: tag 0x0112 (orientation), SHORT, count 1, value; no further directory.
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2, "big") + b"\x00\x00"
    body = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, PICTURE), (3, PICTURE[::-1, ::-1]), (6, np.rot90(PICTURE, -1)), (8, np.rot90(PICTURE))],
    ids=["as-is", "upside-down", "quarter-right", "quarter-left"],
)
def test_pictures_stand_upright(orientation: int, upright: np.ndarray[Any, Any], tmp_path: Path) -> None:
    """What a camera noted about how it was held is applied."""
    path = tmp_path / "phone.jpg"
    path.write_bytes(jpeg_with_orientation(orientation))
    read = read_picture(path)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 4


def test_the_content_decides_not_the_ending(tmp_path: Path) -> None:
    """A PNG under a wrong name is read as a PNG."""
    write_picture(tmp_path / "a.png", PICTURE)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jpg"), PICTURE)


def test_what_cannot_be_read_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Missing, empty, foreign and cut-off files and folders each get an error that says which and why."""
    write_picture(tmp_path / "whole.png", PICTURE)
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.png").write_text("<html>404</html>")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:80])
    for name, message in {
        "missing.png": r"file .*missing\.png.* not found .*check the path",
        "empty.png": r"empty\.png is empty \(0 bytes\)",
        "page.png": r"page\.png is not a readable picture.*<html>40",
        "cut.png": r"cut\.png is not a readable picture.*PNG",
        ".": r"is a folder",
    }.items():
        with pytest.raises(MediaError, match=message) as caught:
            read_picture(tmp_path / name)
        assert isinstance(caught.value, OSError)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the file system keeps its reason and is the cause."""
    write_picture(tmp_path / "a.png", PICTURE)

    def refuse(path: Path, mode: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError, match=r"cannot read .*a\.png: Permission denied") as caught:
        read_picture(tmp_path / "a.png")
    assert isinstance(caught.value.__cause__, PermissionError)


def _jpeg_that_claims(data: bytes) -> bytes:
    start = data.index(b"\xff\xc0") + 5  # height and width in the frame's header
    return data[:start] + (30_000).to_bytes(2, "big") * 2 + data[start + 4 :]


def _png_that_claims(data: bytes) -> bytes:
    header = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


def _bmp_that_claims(data: bytes) -> bytes:
    return data[:18] + (30_000).to_bytes(4, "little") * 2 + data[26:]


_CLAIMS = {".jpg": _jpeg_that_claims, ".png": _png_that_claims, ".bmp": _bmp_that_claims}


@pytest.mark.parametrize("ending", _CLAIMS)
def test_a_header_that_claims_too_much(ending: str, tmp_path: Path) -> None:
    """A small file that claims 30,000 by 30,000 pixels is refused by its header, before memory is taken for them."""
    path = tmp_path / f"a{ending}"
    write_picture(path, PICTURE)
    path.write_bytes(_CLAIMS[ending](path.read_bytes()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaError, match=rf"a{ending} (has too many pixels|as a picture|is not a readable picture)"):
        read_picture(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (300 << 10)


def test_a_device_has_no_end(tmp_path: Path) -> None:
    """Of a file no more is read than is allowed, and of a device no more than that either."""
    write_picture(tmp_path / "a.png", PICTURE)
    for path in (Path("/dev/zero"), tmp_path / "a.png"):
        with pytest.raises(MediaError, match=r"has more than 60 bytes, the limit set by max_bytes=60"):
            read_picture(path, max_bytes=60)


def test_a_file_beyond_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no picture's file may have is said as it is, not as if a greater max_bytes would let it in."""
    monkeypatch.setattr(pictures, "MAX_FILE_BYTES", 60)
    with pytest.raises(MediaError, match=r"more than 60 bytes, the maximum size of a picture file$"):
        read_picture("/dev/zero", max_bytes=60)


@pytest.mark.parametrize("name", ["picture", "picture.txt", "picture.jpg.bak"])
def test_unknown_endings_are_refused(name: str, tmp_path: Path) -> None:
    """The error lists the endings that are known, and nothing is written."""
    with pytest.raises(MediaError, match=r"\.jpg, \.jpeg, \.png"):
        write_picture(tmp_path / name, PICTURE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Writing into a missing folder says so and keeps the system's reason."""
    with pytest.raises(MediaError, match=r"cannot write .*nowhere.*: No such file"):
        write_picture(tmp_path / "nowhere" / "a.png", PICTURE)


def test_what_a_format_cannot_hold_is_named(tmp_path: Path) -> None:
    """A picture too large for its format is refused, and a file that was there stays."""
    path = tmp_path / "long.webp"
    path.write_bytes(b"as it was")
    with pytest.raises(MediaError, match=r"cannot encode .*long\.webp"):
        write_picture(path, np.zeros((1, 20000, 3), np.uint8))
    assert path.read_bytes() == b"as it was"


def test_an_error_of_opencv_is_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenCV raises, as for a header that claims a trillion pixels, becomes an error that names the file."""
    write_picture(tmp_path / "a.png", PICTURE)

    def refuse(*arguments: Any) -> None:
        raise cv2.error("pixels <= CV_IO_MAX_IMAGE_PIXELS")

    monkeypatch.setattr(cv2, "imdecode", refuse)
    monkeypatch.setattr(cv2, "imencode", refuse)
    with pytest.raises(MediaError, match=r"a\.png has too many pixels.*MAX_IMAGE_PIXELS") as caught:
        read_picture(tmp_path / "a.png")
    assert isinstance(caught.value.__cause__, cv2.error)
    with pytest.raises(MediaError, match=r"cannot encode .*b\.png.*MAX_IMAGE_PIXELS"):
        write_picture(tmp_path / "b.png", PICTURE)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)],
    ids=["float", "four-channels", "empty", "flat"],
)
def test_only_pictures_are_written(picture: Any, tmp_path: Path) -> None:
    """An array that is no picture is refused with what came and what is expected."""
    with pytest.raises(InputError, match=r"RGB \[H, W, 3\] or grey \[H, W\].*; got"):
        write_picture(tmp_path / "a.png", picture)


def test_a_missing_opencv_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenCV, the error gives the command that installs it."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"Reading pictures.*pip install .*opencv-python-headless"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(MissingExtraError, match=r"Writing pictures.*pip install .*opencv-python-headless"):
        write_picture(tmp_path / "a.png", PICTURE)


# ---- kinds that OpenCV does not read, or not right ------------------------------------------------------------------


ORIENTATIONS = {
    1: PICTURE,
    2: PICTURE[:, ::-1],
    3: PICTURE[::-1, ::-1],
    4: PICTURE[::-1],
    5: PICTURE.transpose(1, 0, 2),
    6: np.rot90(PICTURE, -1),
    7: PICTURE[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(PICTURE),
}


@pytest.mark.parametrize("suffix", ["avif", "heic", "tiff", "webp", "png"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_all_orientations_in_all_formats(orientation: int, suffix: str, tmp_path: Path) -> None:
    """However a telephone keeps its pictures, they stand upright and are not mirrored."""
    image = pytest.importorskip("PIL.Image").fromarray(PICTURE)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif: pip install '.[heif]'")
        heif.register_heif_opener()
    image.save(path, exif=exif.tobytes(), quality=100)
    read, right = read_picture(path), ORIENTATIONS[orientation]
    assert read.shape == right.shape
    assert np.abs(read.astype(int) - right).mean() < 5


def test_heic_without_its_library_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other reader may have it: they see the first tile alone."""
    (tmp_path / "a.HEIC").write_bytes(b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1heicmiaf" + bytes(200))
    with pytest.raises(MediaError, match=r"cannot decode the HEIC picture .*a\.HEIC"):
        read_picture(tmp_path / "a.HEIC")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtraError, match=r"Reading .*a\.HEIC, a HEIC picture, needs .*pillow-heif>="):
        read_picture(tmp_path / "a.HEIC")


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("name", ["deep.png", "deep.tiff"])
def test_sensors_in_sixteen_bits(name: str, bits: int, tmp_path: Path) -> None:
    """Values of fewer bits than the file has are as bright as they were meant, and the notes say so."""
    cv2.imwrite(str(tmp_path / name), PICTURE[:, :, ::-1].astype(np.uint16) << (bits - 8))
    notes: list[str] = []
    np.testing.assert_array_equal(read_picture(tmp_path / name, notes), PICTURE)
    assert notes == [
        f"{tmp_path / name} has 16-bit values up to {int(PICTURE.max()) << (bits - 8)}, read as {bits}-bit values"
    ]


@pytest.mark.parametrize(("low", "high", "said"), [(0, 1, False), (0, 4000, True), (-3, 3, True), (0, 255, True)])
def test_floats_are_read(low: float, high: float, said: bool, tmp_path: Path) -> None:
    """Floats from 0 to 1 are what they say; others are stretched, and the notes say so; what is no number is dark."""
    values = (PICTURE / PICTURE.max()).astype(np.float32) * (high - low) + low
    exactly = [cv2.IMWRITE_TIFF_COMPRESSION, 1]
    cv2.imwrite(str(tmp_path / "a.tiff"), values[:, :, ::-1], exactly)
    notes: list[str] = []
    read = read_picture(tmp_path / "a.tiff", notes)
    assert np.abs(read.astype(int) - PICTURE * (255 / PICTURE.max())).max() <= 2
    assert bool(notes) == said
    values[0, 0] = np.nan
    cv2.imwrite(str(tmp_path / "b.tiff"), values[:, :, ::-1], exactly)
    assert read_picture(tmp_path / "b.tiff").shape == PICTURE.shape


@pytest.mark.parametrize("name", ["a.tga", "a.ico", "a.gif", "a.jp2"])
def test_other_formats(name: str, tmp_path: Path) -> None:
    """Icons, Targa, still GIFs and JPEG 2000 are pictures."""
    image = pytest.importorskip("PIL.Image").fromarray(np.kron(PICTURE, np.ones((3, 2, 1), np.uint8))[:64, :64])
    image.save(tmp_path / name)
    (frame,) = open_source(tmp_path / name)
    assert frame.seconds is None
    assert frame.picture.shape == (64, 64, 3)
    assert np.abs(frame.picture.astype(int) - np.asarray(image)).mean() < 12
