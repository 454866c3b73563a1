"""Plans: an engine with its sidecar, saved and read again."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from onepass import BuildOptions, EngineMismatchError, ModelNotFoundError, Plan
from onepass.engine import plan_from_graph, read_sidecar
from onepass.engine.sidecar import new_sidecar_path, write_json
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.zoo import BY_NAME

_THREE = BY_NAME["three heads"].graph


@pytest.fixture
def plan() -> Plan:
    """A plan of the three heads."""
    with installed(make_tensorrt("10.16.1")):
        return plan_from_graph(_THREE, BuildOptions(batch=(1, 4, 8), optimization_level=3))


def test_sidecar(plan: Plan, tmp_path: Path) -> None:
    """What is saved is what is read; the engine's file is the engine alone."""
    saved = plan.save(tmp_path / "three.engine")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["three.engine", "three.engine.json"]
    assert (tmp_path / "three.engine").read_bytes() == plan.engine_bytes()
    loaded = read_sidecar(tmp_path / "three.engine")
    assert loaded == saved
    assert loaded is not None
    assert loaded.signature == _THREE.signature
    assert loaded.options == {"batch": [1, 4, 8], "optimization_level": 3}
    assert "b'" not in repr(plan)


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
def test_a_plan_goes_through_links_and_into_pipes(plan: Plan, tmp_path: Path) -> None:
    """Saved through a link, engine and sidecar lie where it leads, found by either path; a pipe has no sidecar."""
    (tmp_path / "store").mkdir()
    (tmp_path / "link.engine").symlink_to(Path("store", "real.engine"))
    plan.save(tmp_path / "link.engine")
    assert sorted(file.name for file in (tmp_path / "store").iterdir()) == ["real.engine", "real.engine.json"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.engine", "store"]
    by_link, by_file = read_sidecar(tmp_path / "link.engine"), read_sidecar(tmp_path / "store" / "real.engine")
    assert by_link is not None
    assert by_file is not None
    assert by_link.to_json() == by_file.to_json() == plan.to_json()
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert plan.save(tmp_path / "pipe") is plan
    assert os.read(descriptor, 1 << 20) == plan.engine_bytes()
    os.close(descriptor)
    assert not (tmp_path / "pipe.json").exists()


def test_the_digest_of_the_engine_decides(plan: Plan, tmp_path: Path) -> None:
    """Of two sidecars, as a writer leaves them that was stopped between its files, that of the engine is taken."""
    path = tmp_path / "a.engine"
    plan.save(path)
    new = replace(plan, engine=b"ptrt another", engine_sha256=sha256(b"ptrt another").hexdigest(), gpu="another")
    write_json(new_sidecar_path(path), new.to_json())
    before = read_sidecar(path)
    path.write_bytes(b"ptrt another")
    after = read_sidecar(path)
    assert before is not None
    assert after is not None
    assert (before.to_json(), after.to_json()) == (plan.to_json(), new.to_json())
    new_sidecar_path(path).write_text("{")  # damaged: the one that is left is of another engine, which is told
    left = read_sidecar(path)
    assert left is not None
    with pytest.raises(EngineMismatchError, match="is not the engine that its sidecar describes"):
        left.engine_bytes()


def test_no_sidecar(tmp_path: Path) -> None:
    """An engine that another tool wrote has none; no engine at all is an error."""
    (tmp_path / "a.engine").write_bytes(b"ptrt")
    assert read_sidecar(tmp_path / "a.engine") is None
    with pytest.raises(ModelNotFoundError):
        read_sidecar(tmp_path / "b.engine")


def test_an_engine_that_is_not_its_sidecars(plan: Plan, tmp_path: Path) -> None:
    """An engine that was replaced or damaged is found out before anything reads it."""
    saved = plan.save(tmp_path / "a.engine")
    with (tmp_path / "a.engine").open("ab") as file:
        file.write(b"x")
    with pytest.raises(EngineMismatchError, match="is not the engine that its sidecar describes"):
        saved.engine_bytes()
    (tmp_path / "a.engine").unlink()
    with pytest.raises(ModelNotFoundError):
        saved.engine_bytes()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"onepass_engine": 99}', '{"onepass_engine": 1}'])
def test_damaged_sidecars(tmp_path: Path, text: str) -> None:
    """A sidecar that cannot be read is named, with what to do."""
    (tmp_path / "a.engine").write_bytes(b"ptrt")
    (tmp_path / "a.engine.json").write_text(text)
    with pytest.raises(EngineMismatchError, match=r"a\.engine\.json"):
        read_sidecar(tmp_path / "a.engine")


def test_a_full_disk(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood there stays, and the message has the file's name and the room it takes."""
    (tmp_path / "a.engine").write_bytes(b"before")

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device; the engine needs \d+ bytes: .*a\.engine"):
        plan.save(tmp_path / "a.engine")
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["a.engine"]
    assert (tmp_path / "a.engine").read_bytes() == b"before"
