"""The sidecar as a format: what is written, what is read of other versions, and what is refused."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import BuildOptions, EngineMismatchError, Plan
from onepass.engine import plan_from_graph, read_sidecar, sidecar_path
from onepass.engine._schema import completed
from onepass.engine.sidecar import DIGEST_KEY, MAJOR, MINOR, digest_of, schema
from onepass.tensors import DTYPES
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.zoo import BY_NAME

_GOLDEN = sorted(Path(__file__).with_name("sidecars").glob("*.json"))
_LATEST = Path(__file__).with_name("sidecars") / f"v{MAJOR}.{MINOR}.json"
_PAGE = Path(__file__).parents[2] / "docs" / "sidecar.md"


def _valid(data: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(data))


def _data(**changed: Any) -> dict[str, Any]:
    return {**json.loads(_LATEST.read_text("utf-8")), **changed}


def _signed(data: Any) -> Any:
    """Return it as its writer would have written it, with the digest of what is in it."""
    return {**data, DIGEST_KEY: digest_of(data)} if data.get(DIGEST_KEY) else data


def _read(folder: Path, data: Any) -> Plan:
    engine = folder / "a.engine"
    engine.write_bytes(b"ptrt")
    sidecar_path(engine).write_text(json.dumps(_signed(data)), encoding="utf-8")
    plan = read_sidecar(engine)
    assert plan is not None
    return plan


# ---- what is written -------------------------------------------------------------------------------------------------


def test_the_schema_is_one() -> None:
    """It is a valid JSON Schema, and knows every dtype that a tensor may have."""
    jsonschema.Draft202012Validator.check_schema(schema())
    edge = schema()["$defs"]["edge"]["properties"]
    assert edge["dtype"]["enum"] == edge["carrier"]["enum"] == list(DTYPES)


@pytest.mark.parametrize("api", ["8.5.3", "11.4.0"])
def test_what_is_written_is_in_the_schema(tmp_path: Path, api: str) -> None:
    """A plan writes every key of the schema, and no other."""
    with installed(make_tensorrt(api)):
        plan = plan_from_graph(BY_NAME["three heads"].graph, BuildOptions(batch=(1, 4, 8)))
    plan.save(tmp_path / "a.engine")
    data = json.loads(sidecar_path(tmp_path / "a.engine").read_text("utf-8"))
    assert _valid(data)
    for found, known in (
        (data, schema()),
        (data["inputs"][0], schema()["$defs"]["edge"]),
        (data["profiles"][0], schema()["$defs"]["profile"]),
    ):
        assert list(found) == list(known["properties"])


def test_the_page_has_every_key() -> None:
    """docs/sidecar.md describes the keys of the schema, in their order, and no others."""
    keys = re.findall(r"^\| `(\w+)` \|", _PAGE.read_text("utf-8"), flags=re.MULTILINE)
    edge, profile, plugin = (schema()["$defs"][name]["properties"] for name in ("edge", "profile", "plugin"))
    assert keys == [*schema()["properties"], *edge, *profile, *plugin]
    assert f"\n- {MAJOR}.{MINOR}: " in _PAGE.read_text("utf-8")


# ---- other versions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", _GOLDEN, ids=lambda file: file.stem)
def test_every_version_is_read(tmp_path: Path, file: Path) -> None:
    """Sidecars as earlier versions of onepass wrote them are read in full."""
    data = json.loads(file.read_text("utf-8"))
    assert _valid(data)
    plan = _read(tmp_path, data)
    assert plan.signature.output_names == ("y", "x", "z")
    assert [(edge.tensor, edge.carrier.name) for edge in plan.inputs] == [("x", "float32"), ("to", "int32")]
    assert plan.profiles[0].values["to"].opt == (4, 2)
    assert plan.layer_types == {"fp32": 3}
    version = {"onepass_engine_minor": MINOR}
    known = dict(completed(data, schema()))
    del known[DIGEST_KEY]
    assert {**plan.to_json(), **version} == {**known, **version}


def test_the_latest_version_has_a_golden_file() -> None:
    """Whoever changes the format keeps a file of the new version."""
    assert _LATEST in _GOLDEN
    assert list(_data()) == list(schema()["properties"])


def test_keys_of_a_later_minor_version_are_kept(tmp_path: Path) -> None:
    """What a later onepass has added is still there after this one has read and written the file."""
    data = _data(onepass_engine_minor=MINOR + 6, tuned_for={"watts": 300})
    plan = _read(tmp_path, data)
    (tmp_path / "ptrt").write_bytes(b"ptrt")
    plan = Plan.from_json({**plan.to_json(), "engine_sha256": _sha(b"ptrt")}, tmp_path / "ptrt")
    saved = plan.save(tmp_path / "b.engine")
    written = json.loads(sidecar_path(tmp_path / "b.engine").read_text("utf-8"))
    assert written == _signed({**data, "engine_sha256": _sha(b"ptrt")})
    assert read_sidecar(tmp_path / "b.engine") == saved


def test_an_older_file_becomes_a_new_one(tmp_path: Path) -> None:
    """A file of an earlier minor version is written in this one."""
    data = _data()
    del data["onepass_engine_minor"], data[DIGEST_KEY]
    assert _read(tmp_path, data).to_json()["onepass_engine_minor"] == MINOR


@pytest.mark.parametrize(
    "key", ["gpu", "compute_capability", "onnx_sha256", "options", "build_seconds", "layer_types"], ids="no {}".format
)
def test_missing_keys_have_defaults(tmp_path: Path, key: str) -> None:
    """An older file that lacks what is good to know is read; nothing is known of it then."""
    data = _data(gpu="H100")
    del data[key]
    assert not getattr(_read(tmp_path, data), key)


def test_what_is_not_known_of_control_flow_is_feared(tmp_path: Path) -> None:
    """Without the key, no pass is recorded: that costs time, and never gives a wrong result."""
    data = _data()
    del data["control_flow"]
    assert _read(tmp_path, data).control_flow is True


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_a_later_major_version(tmp_path: Path) -> None:
    """Only of a file that is newer than this onepass is it said that an update would help."""
    with pytest.raises(EngineMismatchError, match=r"a\.engine\.json has format version 2.* update onepass"):
        _read(tmp_path, {"onepass_engine": 2, "something": "else"})


@pytest.mark.parametrize("version", [0, -1, "1", None, True, "nonsense"])
def test_no_version(tmp_path: Path, version: Any) -> None:
    """A version that never was is a damaged file; no update would help."""
    with pytest.raises(EngineMismatchError, match=r"a\.engine\.json .* onepass_engine is .*, expected") as caught:
        _read(tmp_path, _data(onepass_engine=version))
    assert "update" not in str(caught.value)


def _put(data: Any, place: str, value: Any) -> None:
    *path, last = re.findall(r"\w+", place)
    for step in path:
        data = data[int(step) if step.isdigit() else step]
    data[int(last) if last.isdigit() else last] = value


_WRONG: list[tuple[str, Any, str]] = [
    ("onepass_engine_minor", "1", "'1', expected an integer"),
    ("inputs", {}, "{}, expected a list (The model's inputs, in its order)"),
    ("inputs[0]", 3, "3, expected an object"),
    ("inputs[1].dtype", 3, "3, expected a string"),
    ("inputs[1].dtype", "float33", "'float33', expected one of float32, uint8"),
    ("outputs[0].shape", "N", "'N', expected a list or null"),
    ("outputs[0].shape[0]", -1, "-1, expected at least 0"),
    ("outputs[0].shape[1]", "", "'', expected at least 1 character(s)"),
    ("outputs[0].shape[1]", 1.5, "1.5, expected an integer or a string or null"),
    ("profiles[0].shapes.x", [[1, 2]], "[[1, 2]], expected 3 entries (Least, best and greatest"),
    ("profiles[0].shapes.x[0]", [True, 2], "True, expected an integer"),
    ("gpu", 7, "7, expected a string or null"),
    ("options", None, "None, expected an object"),
    ("build_seconds", "long", "'long', expected a number or null"),
    ("layer_types", {"fp32": "many"}, "'many', expected an integer"),
    ("control_flow", 0, "0, expected true or false"),
    ("engine_sha256", "39b4", "'39b4', expected a string that matches ^[0-9a-f]{64}$ (SHA-256 of the engine)"),
]


@pytest.mark.parametrize(("place", "value", "said"), _WRONG, ids=lambda each: str(each)[:30])
def test_wrong_values(tmp_path: Path, place: str, value: Any, said: str) -> None:
    """The message has the file, the key, what came, what was expected, and what to do."""
    data = _data()
    _put(data, place, value)
    assert not _valid(data)
    with pytest.raises(EngineMismatchError) as caught:
        _read(tmp_path, data)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a.engine.json'} is not a valid engine sidecar: {place}")
    assert f" is {said}" in message
    assert message.endswith("build the engine again, or delete the file to load the engine as it is")


@pytest.mark.parametrize("key", ["inputs", "outputs", "profiles", "flavor", "version", "engine_sha256"])
def test_missing_keys(tmp_path: Path, key: str) -> None:
    """What an engine cannot be run without is asked for by name."""
    data = _data()
    del data[key]
    with pytest.raises(EngineMismatchError, match=f"{key} is missing, expected"):
        _read(tmp_path, data)


def test_a_file_that_contradicts_itself(tmp_path: Path) -> None:
    """Sizes that no range can have are told as such, with the file's name."""
    data = _data()
    _put(data, "profiles[0].shapes.x", [[8, 2], [4, 2], [1, 2]])
    with pytest.raises(EngineMismatchError, match=r"a\.engine\.json contradicts itself: shapes 8x2:4x2:1x2"):
        _read(tmp_path, data)


# ---- digests ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 8 * _LATEST.stat().st_size - 1))
def test_a_flipped_bit_is_found(bit: int) -> None:
    """Whichever bit of a sidecar is flipped, it is refused: no name, shape or profile changes unnoticed."""
    import tempfile

    data = bytearray(_LATEST.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "a.engine").write_bytes(b"ptrt")
        Path(scratch, "a.engine.json").write_bytes(data)
        with pytest.raises(EngineMismatchError, match=r"a\.engine\.json"):
            read_sidecar(Path(scratch, "a.engine"))


def test_exchanged_names_are_found(tmp_path: Path) -> None:
    """Two outputs whose names were exchanged by hand are not run under each other's."""
    data = json.loads(_LATEST.read_text("utf-8"))
    one, two = data["outputs"][:2]
    one["name"], two["name"] = two["name"], one["name"]
    (tmp_path / "a.engine").write_bytes(b"ptrt")
    (tmp_path / "a.engine.json").write_text(json.dumps(data))
    with pytest.raises(
        EngineMismatchError, match=r"is damaged, or was changed by hand: the SHA-256 of its content is "
    ):
        read_sidecar(tmp_path / "a.engine")


def test_a_file_that_ought_to_have_a_digest(tmp_path: Path) -> None:
    """From 1.2 on there is one: a file that has lost it is damaged."""
    data = _data()
    del data[DIGEST_KEY]
    with pytest.raises(EngineMismatchError, match="expected None"):
        _read(tmp_path, data)


def test_another_layout_is_no_damage(tmp_path: Path) -> None:
    """Spaces and the order of keys, which tools change, do not matter to the digest."""
    data = json.loads(_LATEST.read_text("utf-8"))
    (tmp_path / "a.engine").write_bytes(b"ptrt")
    (tmp_path / "a.engine.json").write_text(json.dumps(dict(sorted(data.items())), indent=7), encoding="utf-8")
    assert read_sidecar(tmp_path / "a.engine") is not None


# ---- our reading of the schema ---------------------------------------------------------------------------------------


def _without(place: str) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        *path, last = place.split(".")
        for step in path:
            data = data[int(step)] if step.isdigit() else data[step]
        del data[last]

    return change


_CHANGES: list[Callable[[Any], None]] = [
    *(lambda data, place=place, value=value: _put(data, place, value) for place, value, _ in _WRONG),
    *map(_without, [*schema()["properties"], *(f"inputs.0.{key}" for key in schema()["$defs"]["edge"]["properties"]),
                    "profiles.0.shapes", "profiles.0.values"]),
    lambda data: _put(data, "more", {"a": [None]}),
    lambda data: _put(data, "inputs[0].more", 1),
    lambda data: _put(data, "gpu", None),
    lambda data: _put(data, "build_seconds", 3),
]  # fmt: skip


@pytest.mark.parametrize("change", _CHANGES, ids=range(len(_CHANGES)))
def test_files_are_judged_as_jsonschema_judges_them(change: Callable[[Any], None]) -> None:
    """What the package jsonschema takes is read, and what it refuses is refused; what is read is not changed."""
    data = _data()
    change(data)
    before = copy.deepcopy(data)
    if _valid(data):
        assert _valid(completed(data, schema()))
    else:
        with pytest.raises(ValueError, match="expected"):
            completed(data, schema())
    assert data == before


def _sha(data: bytes) -> str:
    return sha256(data).hexdigest()
