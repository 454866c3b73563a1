"""`onepass gaze`, from a source to everything that can come of it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import MediaError
from onepass.cli import _gaze_job, gaze
from onepass.gaze import GazeEstimator
from onepass.media import CameraSource, Frame, VideoSource, read_picture, write_picture
from tests.cli.shell import Shell
from tests.media.clips import flat_pictures, sound_packets, sound_seconds, write_clip

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")
pytest.importorskip("av", reason="needs PyAV: pip install '.[gaze]'")
data = pytest.importorskip("skimage.data", reason="needs scikit-image: pip install '.[demo]'")

# Frames with the face, and then without: for half a second a tracker does not believe that it is gone.
FACES, EMPTY, FPS = 12, 8, 10
FRAMES = FACES + EMPTY


def places() -> list[tuple[float, float, float]]:
    """Return for each frame of the clip how large the portrait is in it, and where: zoom, x, y."""
    return [(1.4 + 0.01 * index, 60 + 2 * index, -2 * index) for index in range(FACES)]


def moved_portraits() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return the astronaut's portrait, moved and zoomed from frame to frame; and then nobody."""
    portrait = data.astronaut()[:300, 100:400]
    frames = [cv2.warpAffine(portrait, np.array([[zoom, 0, x], [0, zoom, y]]), (480, 320)) for zoom, x, y in places()]
    return [*frames, *[np.full_like(frames[0], 90)] * EMPTY]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of a face that moves and comes nearer, with sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moved_portraits(), fps=FPS)


@pytest.fixture(autouse=True)
def _in_folders_of_its_own(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work in an empty folder, with an empty cache: faces are found by the cascades, whatever was fetched here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path_factory.mktemp("cache")))


def rows_of(path: Path | str) -> list[dict[str, str]]:
    """Read a CSV table."""
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("words", "ids"), [(("--batch", 4), {""}), (("--every", 4, "--no-smooth"), {"0"})], ids=["batch", "track"]
)
def test_a_video_through_the_whole_path(words: tuple[object, ...], ids: set[str], clip: Path, shell: Shell) -> None:
    """Every frame is annotated and in the table at its time and place, and the sound is the same."""
    out = shell("gaze", clip, "--model", "small", "-o", "out.mp4", "--csv", "gaze.csv", *words)
    assert f"{FRAMES} frames in " in out
    assert "written to gaze.csv\nwritten to out.mp4" in out
    rows = rows_of("gaze.csv")
    assert sorted({int(row["frame"]) for row in rows}) == list(range(FRAMES))
    assert (rows[-1]["faces"], rows[-1]["eye"]) == ("0", "")
    rows = [row for row in rows if int(row["frame"]) < FACES]
    assert [row["eye"] for row in rows] == ["right", "left"] * FACES
    assert {row["face_id"] for row in rows} == ids
    first = np.array([float(rows[1]["iris_x_px"]), float(rows[1]["iris_y_px"])])
    zoom_0, x_0, y_0 = places()[0]
    eye = (first - (x_0, y_0)) / zoom_0
    for row, (zoom, x, y) in zip(rows[1::2], places(), strict=True):
        assert float(row["seconds"]) == pytest.approx(int(row["frame"]) / FPS)
        found = float(row["iris_x_px"]), float(row["iris_y_px"])
        assert found == pytest.approx(tuple(eye * zoom + (x, y)), abs=2)
    annotated = list(VideoSource("out.mp4"))
    assert len(annotated) == FRAMES
    drawn = [
        (np.abs(after.picture.astype(int) - before.picture) > 50).any(axis=2).sum()
        for after, before in zip(annotated, VideoSource(clip), strict=True)
    ]
    assert min(drawn[:FACES]) > 100
    assert drawn[-1] == 0
    assert sound_packets(Path("out.mp4")) == sound_packets(clip)


@pytest.mark.parametrize(("name", "codec", "sound"), [("a.ts", "libx264", "aac"), ("a.wmv", "wmv2", "wmav2")])
def test_broadcasts_and_windows_media(name: str, codec: str, sound: str, shell: Shell) -> None:
    """Videos whose sound MP4 cannot hold as it is become MP4 files with sound, and not a word of it."""
    write_clip(Path(name), flat_pictures(5), codec=codec, sound=sound)
    out = shell("gaze", name, "--model", "small")
    assert out.endswith("written to a-gaze.mp4\n")
    assert len(list(VideoSource("a-gaze.mp4"))) == 5
    assert sound_seconds(Path("a-gaze.mp4")) == pytest.approx(0.5, abs=0.15)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs POSIX signals")
def test_what_is_ignored_stays_ignored() -> None:
    """Under nohup the end of the terminal is no reason to stop; Ctrl-C is."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _gaze_job._signals(lambda: None) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.event.is_set()
            os.kill(os.getpid(), signal.SIGINT)
            assert (stop.event.is_set(), stop.signal) == (True, signal.SIGINT)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_pictures_of_one_name(shell: Shell) -> None:
    """The second picture of a name does not overwrite what came of the first, nor anything else that is there."""
    write_picture("face.png", data.astronaut())
    Path("other").mkdir()
    write_picture("other/face.png", np.zeros((64, 64, 3), np.uint8))
    shell("gaze", "face.png")
    before = Path("face-gaze.png").read_bytes()
    Path("face-gaze-2.png").symlink_to("nowhere")
    assert shell("gaze", "other/face.png").endswith("written to face-gaze-3.png\n")
    assert Path("face-gaze.png").read_bytes() == before
    shell("gaze", "other")
    assert shell("gaze", "other").endswith("written to other-gaze-2\n")


def test_a_picture(shell: Shell) -> None:
    """A picture is annotated beside a word on each face and eye."""
    write_picture("face.png", data.astronaut())
    out = shell("gaze", "face.png")
    assert "face.png: 512 x 512 pixels, 1 face, found by cascades (`onepass gaze models fetch`" in out
    assert ")\nface 1 looks" in out
    assert "left eye" in out
    assert out.endswith("written to face-gaze.png\n")
    assert (read_picture("face-gaze.png") != data.astronaut()).any()


def test_what_is_for_people(clip: Path, shell: Shell) -> None:
    """One eye alone, words for where it looks, and a table of fixations and saccades come with one run."""
    words = ("gaze", clip, "--eye", "left", "--centre", "80x80", "--model", "small", "--csv", "gaze.csv")
    shell(*words, "--movements", "movements.csv", "--movements-by", "dispersion")
    rows = list(csv.DictReader(Path("gaze.csv").read_text().splitlines()))
    assert {row["eye"] for row in rows if row["faces"] != "0"} == {"left"}
    assert {row["gaze_word"] for row in rows if row["faces"] != "0"} == {"centre"}
    assert {row["finder"] for row in rows} == {"cascades"}
    assert Path("movements.csv").read_text().startswith("face_id,movement,start_seconds")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--centre", "12"), "expected two angles in degrees"),
        (("--centre", "0x10"), "expected two angles in degrees"),
        (("--eye", "both"), "left"),
        (("--eye", "left", "--calibration", "c.json"), "both eyes"),
        (("--movements", "m.csv", "--batch", "4"), "without --batch"),
        (("--movements", "a.csv", "--csv", "a.csv"), "must name different files"),
    ],
)
def test_what_is_for_people_is_checked(words: tuple[str, ...], message: str, clip: Path, shell: Shell) -> None:
    """Angles that are none, other eyes, and what cannot be said of this source are refused before any work."""
    status, _, err = shell.run("gaze", clip, *words)
    assert status == 2
    assert message in " ".join(err.split())


def test_standard_input(clip: Path) -> None:
    """A video or a picture comes through a pipe as well as from a file; the table may go out through one."""
    command = [str(Path(sys.executable).with_name("onepass")), "gaze", "-", "--model", "small"]
    result = subprocess.run([*command, "--csv", "-"], input=clip.read_bytes(), capture_output=True, check=True)
    assert {row["frame"] for row in csv.DictReader(result.stdout.decode().splitlines())} == set(map(str, range(FRAMES)))
    write_picture("face.png", data.astronaut())
    result = subprocess.run(command, input=Path("face.png").read_bytes(), capture_output=True, check=True)
    assert b"stdin: 512 x 512 pixels, 1 face" in result.stdout
    assert result.stdout.endswith(b"written to stdin-gaze.png\n")


def test_pictures_in_a_file(shell: Shell) -> None:
    """Pages go into a folder, an animation into a video; a still GIF is a picture."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install '.[gaze]'")
    first, *more = (image.fromarray(picture) for picture in flat_pictures(3))
    for name, words in {"pages.tif": {}, "moves.webp": {"duration": 200}}.items():
        first.save(name, save_all=True, append_images=more, **words)
    first.save("still.gif")
    assert shell("gaze", "pages.tif").endswith("written to pages-gaze\n")
    assert [path.name for path in sorted(Path("pages-gaze").iterdir())] == [
        f"pages-000{page}.tif" for page in (1, 2, 3)
    ]
    shell("gaze", "moves.webp", "--csv", "moves.csv", "-o", "moves.mp4")
    assert [row["seconds"] for row in rows_of("moves.csv")] == ["0.0", "0.2", "0.4"]
    assert len(list(VideoSource("moves.mp4"))) == 3
    assert "still.gif: 64 x 48 pixels, 0 faces" in shell("gaze", "still.gif")


def test_a_folder(shell: Shell, tmp_path: Path) -> None:
    """A folder becomes a folder, or a video with a rate that the user chooses; what is no picture is named."""
    (tmp_path / "in").mkdir()
    for index, picture in enumerate(flat_pictures(3)):
        write_picture(f"in/{index}.png", picture)
    shell("gaze", "in")
    assert sorted(path.name for path in Path("in-gaze").iterdir()) == ["0.png", "1.png", "2.png"]
    shell("gaze", "in", "-o", "in.mp4", "--fps", 4)
    assert [frame.seconds for frame in VideoSource("in.mp4")] == [0, 0.25, 0.5]
    Path("in/notes.txt").write_text("hello")
    status, _, err = shell.run("gaze", "in")
    assert (status, err) == (0, "onepass: skipped: in/notes.txt is not a picture\n")


def test_pictures_that_cannot_be_read_are_named(shell: Shell) -> None:
    """A damaged picture is said once, by name, and a folder of nothing else is an error."""
    Path("in").mkdir()
    write_picture("in/b.png", data.astronaut())
    Path("in/a.png").write_bytes(Path("in/b.png").read_bytes()[:3000])
    status, out, err = shell.run("gaze", "in")
    assert (status, "512 x 512 pixels" in out) == (0, True)
    assert err.startswith("onepass: skipped: in/a.png is not a readable picture")
    Path("in/b.png").unlink()
    err = shell.fails("gaze", "in", "-o", "other")
    assert "none of the 1 picture(s) in in can be read" in err
    assert "onepass: skipped: in/a.png is not a readable picture" in err


def test_tables_of_every_kind_at_once(clip: Path, shell: Shell) -> None:
    """A table asked for alone writes no video; JSON Lines on standard output leaves that to the rows."""
    parquet = pytest.importorskip("pyarrow.parquet")
    status, out, err = shell.run("gaze", clip, "--model", "small", "--jsonl", "-", "--parquet", "a.parquet")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, {row["frame"] for row in rows}) == (0, set(range(FRAMES)))
    assert parquet.read_table("a.parquet").to_pylist() == rows
    assert f"{FRAMES} frames in" in err
    assert [path.name for path in Path().iterdir()] == ["a.parquet"]


def test_a_camera(clip: Path, shell: Shell) -> None:
    """A camera is followed by its newest frame: the gaps are in the table, and the summary counts them."""
    out = shell("gaze", f"camera:{clip}", "--model", "small", "--headless", "--csv", "a.csv", "--max-faces", 1)
    seen = sorted({int(row["frame"]) for row in rows_of("a.csv")})
    assert seen[-1] == FRAMES - 1
    left_out = FRAMES - len(seen)
    assert (f"{left_out} frames dropped" in out) == (left_out > 0)


def test_a_camera_that_is_unplugged_keeps_the_rest(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames before are in the video and in the table, and the error says what happened."""

    def unplugged(source: CameraSource) -> Any:
        for index, picture in enumerate(flat_pictures(3)):
            yield Frame(picture, index, index / 10, "a")
        raise MediaError("gone")

    monkeypatch.setattr(CameraSource, "__init__", lambda self, device, fps: setattr(self, "notes", []))
    monkeypatch.setattr(CameraSource, "__iter__", unplugged)
    monkeypatch.setattr(CameraSource, "close", lambda self: None)
    monkeypatch.setattr(CameraSource, "name", "camera:3", raising=False)
    monkeypatch.setattr(CameraSource, "live", False)
    status, out, err = shell.run("gaze", "camera:3", "-o", "a.mp4", "--csv", "a.csv")
    assert (status, err) == (2, "onepass: gone\n")
    assert "written to a.mp4" in out
    assert len(list(VideoSource("a.mp4"))) == len(rows_of("a.csv")) == 3


class Screen:
    """Stands in for the window: it closes after some frames."""

    # ruff: noqa: D102 - the methods are the window's

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.titles: list[str] = []
        self.holds: list[bool] = []

    def __call__(self, title: str, *, fullscreen: bool, mirror: bool) -> Screen:
        self.titles.append(f"{title} {fullscreen} {mirror}")
        return self

    def show(self, picture: np.ndarray[Any, Any], *, hold: Callable[[], bool]) -> bool:
        self.holds.append(hold())
        self.frames -= 1
        return self.frames > 0

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def test_a_window_ends_the_work(clip: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the window ends all in good order; nothing is written that nobody asked for."""
    screen = Screen(2)
    monkeypatch.setattr(gaze, "Window", screen)
    out = shell("gaze", clip, "--model", "small", "--fullscreen", "--mirror")
    assert screen.titles == [f"onepass gaze {clip} True True"]
    assert not any(screen.holds)
    assert " frames in" in out
    assert len(screen.holds) < FRAMES
    assert list(Path().iterdir()) == []


def test_a_picture_stays_in_its_window(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures wait for a key, as the frames of a video do not."""
    screen = Screen(99)
    monkeypatch.setattr(gaze, "Window", screen)
    write_picture("flat.png", flat_pictures(1)[0])
    shell("gaze", "flat.png", "--show")
    assert screen.holds == [True]


def test_a_camera_opens_a_window_by_itself(clip: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is to be written, a camera is shown; headless that is refused."""
    screen = Screen(99)
    monkeypatch.setattr(gaze, "Window", screen)
    shell("gaze", f"camera:{clip}", "--model", "small")
    assert screen.titles == [f"onepass gaze camera:{clip} False False"]
    assert "with --headless there is no window" in shell.fails("gaze", f"camera:{clip}", "--headless")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing argument SOURCE"),
        (["missing.mp4"], "file or folder 'missing.mp4' not found"),
        (["CLIP", "--show", "--headless"], "with --headless there is no window"),
        (["CLIP", "--csv", "a.csv", "--mirror"], "--mirror applies to a window"),
        (["CLIP", "-o", "a.txt"], "unknown suffix; use one of"),
        (["CLIP", "-o", "nowhere/a.mp4"], "cannot write nowhere/a.mp4: No such file"),
        (["CLIP", "--csv", "nowhere/a.csv"], "cannot write nowhere/a.csv: No such file"),
        (["CLIP", "-o", "CLIP"], "is the source itself"),
        (["CLIP", "--csv", "CLIP"], "is the source itself"),
        (["CLIP", "--csv", "-", "--jsonl", "-"], "must name different files"),
        (["CLIP", "--parquet", "-"], "cannot be written to standard output"),
        (["CLIP", "--model", "missing.onnx"], "missing.onnx"),
        (["camera:CLIP", "--csv", "a.csv", "--batch", "2"], "frame by frame"),
        (["CLIP", "--reconnect", "5"], "--reconnect is for streams"),
        (["camera:CLIP", "--live"], "--live and --no-live are for"),
        (["CLIP", "--fps", "5"], "a video has its own frame rate"),
        (["camera:98"], "cannot open camera:98"),
    ],
)
def test_what_cannot_be_done(words: list[str], message: str, clip: Path, shell: Shell) -> None:
    """Each mistake has its message, and leaves no file behind."""
    assert message in shell.fails("gaze", *(word.replace("CLIP", str(clip)) for word in words))
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("words", [("-o", "out.png"), ("--csv", "out.csv"), ("--parquet", "out.parquet")])
def test_a_folder_where_a_file_is_to_be(words: tuple[str, str], shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said before a frame is looked at, and nothing is written."""
    write_picture("face.png", flat_pictures(1)[0])
    Path(words[1]).mkdir()
    monkeypatch.setattr(GazeEstimator, "stream", lambda *_, **__: pytest.fail("too late"))
    said = shell.fails("gaze", "face.png", *words)
    assert words[1] in said
    assert "it is a folder" in said
    assert sorted(path.name for path in Path().rglob("*")) == sorted(["face.png", words[1]])


@pytest.mark.parametrize("letter", ["n", "目"])
def test_sources_with_long_names(letter: str, shell: Shell) -> None:
    """Where the name of the result would be too long for a file, it is cut, and keeps its ending."""
    name = letter * ((255 - 4) // len(letter.encode())) + ".png"
    write_picture(name, flat_pictures(1)[0])
    out = shell("gaze", name)
    (written,) = [path.name for path in Path().iterdir() if path.name != name]
    assert out.endswith(f"written to {written}\n")
    assert written.endswith(f"{letter}-gaze.png")
    assert 245 < len(written.encode()) <= 255
    Path("in").mkdir()
    Path(name).rename(Path("in", name))
    shell("gaze", "in", "-o", "out")
    assert [path.name for path in Path("out").iterdir()] == [name]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("when", ["import onepass.cli", "import cv2", "import onnxruntime"])
def test_an_interruption_before_the_first_frame(when: str, clip: Path, tmp_path: Path) -> None:
    """Ctrl-C while libraries are still being imported ends it in one sentence."""
    module = when.removeprefix("import ")
    script = f"""
import os, runpy, signal, sys
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
sys.argv = ["onepass", "gaze", {str(clip)!r}, "--csv", "a.csv"]
runpy.run_module("onepass", run_name="__main__")
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "onepass: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interruption_leaves_whole_files(number: str, tmp_path: Path) -> None:
    """After Ctrl-C, a polite kill or the end of the terminal, video and table are whole and tell of the same frames."""
    clip = write_clip(tmp_path / "long.mp4", moved_portraits() * 15, fps=FPS)
    command = [str(Path(sys.executable).with_name("onepass")), "gaze", str(clip), "--model", "small", "-o", "out.mp4"]
    process = subprocess.Popen([*command, "--csv", "gaze.csv"], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    _wait_for(lambda: any(path.stat().st_size > 2000 for path in tmp_path.glob(".gaze.*.csv")))
    os.kill(process.pid, signal.Signals[number])
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.Signals[number]
    assert "; interrupted" in out
    frames = {int(row["frame"]) for row in rows_of(tmp_path / "gaze.csv")}
    assert 0 < len(frames) < FRAMES * 15
    assert len(list(VideoSource(tmp_path / "out.mp4"))) == len(frames) == max(frames) + 1
    assert {path.name for path in tmp_path.iterdir()} == {"long.mp4", "out.mp4", "gaze.csv"}


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="needs POSIX signals")
def test_a_reader_that_has_enough_leaves_whole_files(tmp_path: Path) -> None:
    """When `head` has its lines, the video that was made until then plays, and no other file is left."""
    clip = write_clip(tmp_path / "long.mp4", moved_portraits() * 15, fps=FPS)
    command = [str(Path(sys.executable).with_name("onepass")), "gaze", str(clip), "--model", "small", "-o", "out.mp4"]
    process = subprocess.Popen(
        [*command, "--csv", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("frame,name")
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) in (128 + signal.SIGPIPE, -signal.SIGPIPE)
    assert "; interrupted\nwritten to out.mp4\n" in err
    assert "Error" not in err
    assert 0 < len(list(VideoSource(tmp_path / "out.mp4"))) < FRAMES * 15
    assert {path.name for path in tmp_path.iterdir()} == {"long.mp4", "out.mp4"}


_ON_A_SMALL_DISK = """
import resource, signal, sys
from onepass.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on the size of files")
def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """The error names the file and the reason; the video plays and the table is whole, up to where there was room."""
    clip = write_clip(tmp_path / "long.mp4", moved_portraits() * 4, fps=FPS)
    words = [sys.executable, "-c", _ON_A_SMALL_DISK, "60000", "gaze", str(clip), "--model", "small", "-o", "out.mkv"]
    result = subprocess.run([*words, "--csv", "gaze.csv"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert "cannot write out.mkv: File too large; earlier frames are kept in the file" in result.stderr
    assert "written to gaze.csv\nwritten to out.mkv" in result.stdout
    assert len(list(VideoSource(tmp_path / "out.mkv"))) > 5
    assert {int(row["frame"]) for row in rows_of(tmp_path / "gaze.csv")} >= set(range(5))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on the size of files")
def test_a_table_that_is_lost_is_not_said_to_be_written(clip: Path, tmp_path: Path) -> None:
    """Parquet cannot be read without its end: where that finds no room, there is no file and nobody says otherwise."""
    pytest.importorskip("pyarrow")
    words = [sys.executable, "-c", _ON_A_SMALL_DISK, "4000", "gaze", str(clip), "--model", "small"]
    result = subprocess.run(
        [*words, "--parquet", "gaze.parquet"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 2
    assert "the table is lost" in result.stderr
    assert "written to" not in result.stdout
    assert not list(tmp_path.glob("*.parquet"))


def _wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something has happened in another process."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)
