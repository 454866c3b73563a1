"""Several pictures in one file: every one comes, with its time where it has one."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import MediaError
from onepass.media import FolderSource, PagesSource, PictureSource, VideoSource, open_source, write_picture

from .clips import flat_pictures

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")
image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install '.[gaze]'")


def save(path: Path, count: int, **words: Any) -> Path:
    """Write pictures, each brighter than the one before, into one file."""
    first, *more = (image.fromarray(picture) for picture in flat_pictures(count))
    first.save(path, save_all=True, append_images=more, **words)
    return path


def encode_all(format_: str, **words: Any) -> bytes:
    """Return three small pictures as one file."""
    file = io.BytesIO()
    first, *more = (image.fromarray(picture) for picture in flat_pictures(3, (12, 16)))
    first.save(file, format_, save_all=True, append_images=more, **words)
    return file.getvalue()


def levels(frames: list[Any]) -> list[int]:
    """Return how bright each frame is."""
    return [int(frame.picture[-1, -1, 0]) for frame in frames]


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.avif"])
@pytest.mark.parametrize("durations", [[500, 500, 500], [40, 300, 1000]])
def test_animations_have_times(name: str, durations: list[int], tmp_path: Path) -> None:
    """Each picture is shown for as long as the file says."""
    path = save(tmp_path / name, 3, duration=durations)
    with open_source(path) as source:
        assert isinstance(source, PagesSource)
        frames = list(source)
    assert (source.sequence, source.frame_count, source.notes) == (True, 3, [])
    times = [frame.seconds for frame in frames]
    assert times == pytest.approx([0, durations[0] / 1000, sum(durations[:2]) / 1000], abs=0.011)
    assert levels(frames) == pytest.approx([20, 86, 153], abs=6)


def test_pages_have_none(tmp_path: Path) -> None:
    """The pages of a TIFF have nothing to do with each other, and names of their own."""
    with open_source(save(tmp_path / "scan.tif", 4)) as source:
        frames = list(source)
    assert (source.sequence, source.frame_count) == (False, 4)
    assert [frame.seconds for frame in frames] == [None] * 4
    assert [frame.name for frame in frames] == [f"scan-000{page}.tif" for page in (1, 2, 3, 4)]
    assert levels(frames) == [20, 70, 120, 170]


@pytest.mark.parametrize("suffix", [".webp", ".png", ".tif", ".gif", ".jpg", ".avif"])
def test_one_picture_is_a_picture(suffix: str, tmp_path: Path) -> None:
    """A file of a kind that may hold several, and holds one, is a picture."""
    image.fromarray(flat_pictures(1)[0]).save(tmp_path / f"a{suffix}")
    assert isinstance(open_source(tmp_path / f"a{suffix}"), PictureSource)


@pytest.mark.parametrize("between", [b"", bytes(7)], ids=["joined", "padded"])
@pytest.mark.parametrize("name", ["cam.mjpeg", "cam.jpg"])
def test_jpegs_one_after_the_other(name: str, between: bytes, tmp_path: Path) -> None:
    """What cameras write as raw MJPEG is a video, whatever its name, and every frame of it comes."""
    data = between.join(cv2.imencode(".jpg", picture)[1].tobytes() for picture in flat_pictures(9))
    (tmp_path / name).write_bytes(data)
    with open_source(tmp_path / name) as source:
        assert isinstance(source, VideoSource)
        assert levels(list(source)) == pytest.approx([20 + 200 * index // 9 for index in range(9)], abs=4)


def test_a_picture_with_a_second_one_for_its_depth(tmp_path: Path) -> None:
    """Telephones put further pictures behind the one that was taken; that is one picture."""
    first, more = (image.fromarray(picture) for picture in flat_pictures(2))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[more])
    assert isinstance(open_source(tmp_path / "a.jpg"), PictureSource)


def test_a_file_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages before the cut are read, and the notes say how many; a file of another kind is refused."""
    path = save(tmp_path / "a.webp", 4, duration=100, lossless=True)
    source = PagesSource(path, animated=True)
    with source:
        seen = iter(source)
        next(seen)
        monkeypatch.setattr(source._image, "seek", lambda index: (_ for _ in ()).throw(EOFError("no more")))
        assert list(seen) == []
    assert source.notes == [f"{path} is damaged: only 1 of 4 pictures could be read"]
    (tmp_path / "page.tif").write_text("<html>")
    with pytest.raises(MediaError, match="contains no readable pictures"):
        PagesSource(tmp_path / "page.tif", animated=False)


def test_in_a_folder_the_first_one_counts(tmp_path: Path) -> None:
    """A folder takes one picture of each file, and says where there are more."""
    write_picture(tmp_path / "a.png", flat_pictures(1)[0])
    save(tmp_path / "b.tif", 3)
    with FolderSource(tmp_path) as source:
        assert [frame.name for frame in source] == ["a.png", "b.tif"]
    assert source.notes == [
        f"{tmp_path / 'b.tif'} has several pictures: only the first is used; open the file itself for all"
    ]


def test_ghosts_of_former_pictures(tmp_path: Path) -> None:
    """Pictures of an animation that paint only a part are whole when they come."""
    first, second = flat_pictures(2)
    second = first.copy()
    second[:8, 40:] = (0, 0, 255)
    frames = [image.fromarray(picture) for picture in (first, second)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    with open_source(tmp_path / "a.png") as source:
        _, seen = source
    np.testing.assert_array_equal(seen.picture, second)


SEEDS = {
    name: encode_all(name, **words)
    for name, words in {"tiff": {}, "webp": {"duration": 90}, "png": {"duration": 90}, "gif": {}}.items()
}


@given(st.sampled_from(sorted(SEEDS)), st.data())
def test_damaged_files_end_in_one_kind_of_error(name: str, data: st.DataObject) -> None:
    """Whatever bytes are changed or missing, pictures come or a `MediaError` does, and nothing is warned of."""
    content = bytearray(SEEDS[name])
    del content[data.draw(st.integers(1, len(content))) :]
    places = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=12)
    for place, value in data.draw(places):
        content[place] = value
    with TemporaryDirectory() as folder:
        path = Path(folder, f"a.{name}")
        path.write_bytes(content)
        with suppress(MediaError), open_source(path) as source:
            assert all(frame.picture.ndim == 3 for frame in source)
