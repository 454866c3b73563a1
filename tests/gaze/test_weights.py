"""GazeML's weights, fetched from a server of the tests' own."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from onepass import InputError, ModelError, ModelFormatError, ModelNotFoundError
from onepass.cli import cli
from onepass.gaze.fetch import weights
from onepass.gaze.model import crop_size_px, open_model
from onepass.source.frameworks.gazeml import ElgSize
from tests.source.bundles import elg_variables, write_gazeml
from tests.webserver import Site, serve

NAME = "ELG_i20x12_f20x12_n2_m1"


def _archive(folder: Path, seed: int = 0) -> bytes:
    """An archive as GazeML's: the folder with its checkpoints."""
    network = write_gazeml(folder / str(seed) / NAME, elg_variables(ElgSize(20, 12, 1, 2, 1), seed))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(network.rglob("*")):
            archive.write(path, path.relative_to(network.parent))
    return buffer.getvalue()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with one archive, which is all there is to fetch, and a cache of the test's own."""
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path / "cache"))
    with serve(_archive(tmp_path), f"{NAME}.zip") as served:
        monkeypatch.setattr(weights, "GAZEML_WEIGHTS", {NAME: served.url})
        yield served


def test_weights_become_an_eye_network(site: Site) -> None:
    """The archive is fetched and converted once, and `onepass gaze --model` takes what comes of it."""
    path = weights.fetch(NAME)
    assert path == weights.path_of(NAME)
    with open_model(path) as model:
        assert crop_size_px(model.signature) == (20, 12)
    assert weights.fetch(NAME) == path
    assert len(site.asked) == 1


def test_another_archive_under_the_same_name(site: Site, tmp_path: Path) -> None:
    """What is fetched later must be what was fetched first; the model that is there stays."""
    path = weights.fetch(NAME)
    before = path.read_bytes()
    other = tmp_path / "other.zip"
    other.write_bytes(_archive(tmp_path, seed=1))
    with pytest.raises(
        ModelFormatError, match=r"differs from the archive that was first fetched: sha256 [0-9a-f]{64} expe"
    ):
        weights.fetch(NAME, other)
    assert path.read_bytes() == before
    path.unlink()
    (weights.weights_folder() / f"{NAME}.zip").unlink()
    site.data, site.etag = other.read_bytes(), '"2"'
    with pytest.raises(ModelFormatError, match="differs from the archive"):
        weights.fetch(NAME)
    assert not path.exists()


def test_a_page_in_place_of_the_archive(site: Site) -> None:
    """A login page is no archive: it is neither kept nor taken for the archive's first coming."""
    good, site.data = site.data, b"<html>please log in</html>"
    with pytest.raises(ModelFormatError, match="is damaged or not a readable zip archive"):
        weights.fetch(NAME)
    site.data = good
    assert weights.fetch(NAME).is_file()


@pytest.mark.parametrize(
    "member",
    ["something/else.txt", f"{NAME}/checkpoints/hourglass/checkpoint"],
    ids=["another archive", "a part of it"],
)
def test_a_sound_archive_of_something_else(site: Site, member: str) -> None:
    """An archive without a network in it is not kept: the next try fetches it again, and works."""
    good, buffer = site.data, io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "hello")
    site.data = buffer.getvalue()
    for _ in range(2):
        with pytest.raises(ModelError):
            weights.fetch(NAME)
    assert len(site.asked) == 2
    site.data = good
    assert weights.fetch(NAME).is_file()


def test_what_a_stopped_fetch_left_is_swept(site: Site) -> None:
    """Hidden files and folders of a fetch that was killed are gone after the next one."""
    folder = weights.weights_folder()
    (folder / f".{NAME}.abc" / "unpacked").mkdir(parents=True)
    (folder / f".{NAME}.0123.onnx").touch()
    weights.fetch(NAME)
    assert not list(folder.glob(".*"))


def test_from_a_file(site: Site, tmp_path: Path) -> None:
    """Where there is no network the archive can be brought as a file."""
    file = tmp_path / "brought.zip"
    file.write_bytes(site.data)
    assert weights.fetch(NAME, file).is_file()
    assert not site.asked
    with pytest.raises(ModelNotFoundError, match="file not found"):
        weights.fetch(NAME, tmp_path / "absent.zip")


def test_unknown_weights(site: Site) -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(InputError, match=rf"no weights 'ELG'.*{NAME}"):
        weights.fetch("ELG")


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands list both networks of GazeML, and fetch one from a file."""
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path / "cache"))
    listed = CliRunner().invoke(cli, ["gaze", "weights", "list"])
    assert listed.output.count("not fetched") == len(weights.GAZEML_WEIGHTS) == 2
    assert "https://ait.ethz.ch/projects/2018/landmarks-gaze/downloads/ELG_i60x36_f60x36_n32_m2.zip" in listed.output
    name = "ELG_i60x36_f60x36_n32_m2"
    network = write_gazeml(tmp_path / name, elg_variables(ElgSize(60, 36, 1, 32, 2)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in network.rglob("*"):
            archive.write(path, path.relative_to(network.parent))
    fetched = CliRunner().invoke(cli, ["gaze", "weights", "fetch", name, "--archive", str(tmp_path / "a.zip")])
    assert fetched.exit_code == 0, fetched.output
    assert f"{name}.onnx" in fetched.output
    refused = CliRunner().invoke(cli, ["gaze", "weights", "fetch", "--archive", str(tmp_path / "a.zip")])
    assert refused.exit_code == 2
    assert "--archive requires exactly one NAME" in refused.output
