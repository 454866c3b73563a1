"""Plans: an engine with its sidecar, saved and read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from onepass import BuildOptions, EngineMismatchError, ModelNotFoundError, Plan
from onepass.engine import plan_from_graph, read_sidecar
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
    with pytest.raises(OSError, match=r"No space left on device; the engine takes \d+ bytes: .*a\.engine"):
        plan.save(tmp_path / "a.engine")
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["a.engine"]
    assert (tmp_path / "a.engine").read_bytes() == b"before"
