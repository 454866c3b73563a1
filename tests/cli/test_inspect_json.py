"""What ``onepass inspect --json`` prints, as a format."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import onnxruntime
import pytest
from referencing import Registry, Resource

from onepass import cli
from onepass.engine import sidecar_path
from onepass.engine.sidecar import schema as sidecar_schema
from tests.cli.shell import Shell
from tests.runtime.gpu import fake_gpu
from tests.zoo import BY_NAME

_SCHEMA = json.loads(Path(cli.__file__).with_name("inspect.schema.json").read_text("utf-8"))
_PAGE = Path(__file__).parents[2] / "docs" / "inspect-json.md"


def _check(text: str) -> dict[str, Any]:
    """Return what a command printed, which must be as the schema has it."""
    facts: dict[str, Any] = json.loads(text)
    resources = [(each["$id"], Resource.from_contents(each)) for each in (_SCHEMA, sidecar_schema())]
    registry: Registry[Any] = Registry().with_resources(resources)
    jsonschema.Draft202012Validator(_SCHEMA, registry=registry).validate(facts)
    return facts


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A file with the three-headed model."""
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


def test_the_schema_is_one() -> None:
    """It is a valid JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(_SCHEMA)


def test_the_page_has_every_key() -> None:
    """docs/inspect-json.md describes the keys of the schema, in their order, and no others."""
    keys = re.findall(r"^\| `(\w+)` \|", _PAGE.read_text("utf-8"), flags=re.MULTILINE)
    edge, layer = (_SCHEMA["$defs"][name]["properties"] for name in ("edge", "layer"))
    assert keys == [*_SCHEMA["properties"], *edge, *layer]


def test_of_an_onnx_model(shell: Shell, three: Path) -> None:
    """All keys but that of layers, and no other."""
    facts = _check(shell("inspect", three, "--json"))
    assert facts["format"] == "onnx"
    assert set(facts) == set(_SCHEMA["properties"]) - {"layers"}


def test_of_a_model_of_onnx_runtime(shell: Shell, three: Path) -> None:
    """What every model has."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(three.with_suffix(".ort"))
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(three), options, providers=["CPUExecutionProvider"])
    facts = _check(shell("inspect", three.with_suffix(".ort"), "--json"))
    assert facts["format"] == "ort"
    assert set(facts) == set(_SCHEMA["required"])


def test_of_an_engine(shell: Shell, three: Path) -> None:
    """Its sidecar's keys too, and its layers where they are asked for; without a sidecar what every model has."""
    engine = three.with_suffix(".engine")
    with fake_gpu("10.16.1"):
        shell("build", three, "--batch", "1:4:8")
        layered = _check(shell("inspect", engine, "--layers", "--json"))
        plain = _check(shell("inspect", engine, "--json"))
        sidecar_path(engine).unlink()
        bare = _check(shell("inspect", engine, "--json"))
    assert layered.pop("layers")
    assert layered == plain
    assert set(plain) == {*_SCHEMA["required"], *sidecar_schema()["properties"]} - {"sidecar_sha256"}  # the file's own
    assert set(bare) == set(_SCHEMA["required"])


@pytest.mark.parametrize("changed", [{"format": "keras"}, {"nodes": "many"}, {"inputs": [{}]}, {"layers": []}])
def test_the_schema_refuses(shell: Shell, three: Path, changed: dict[str, Any]) -> None:
    """The tests above can fail."""
    facts = json.loads(shell("inspect", three, "--json"))
    with pytest.raises(jsonschema.ValidationError):
        _check(json.dumps({**facts, **changed}))
