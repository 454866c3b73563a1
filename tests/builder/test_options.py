"""The options of a build: declared once, and known wherever they have to be."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import click
import pytest

import onepass
from onepass import BuildOptions, InputError
from onepass.builder._cache import cache_key
from onepass.builder.options import told
from onepass.cli import main
from onepass.cli._build_options import option_of
from onepass.cli.build import command
from onepass.engine.flavor import Flavor
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt

_NAMES = [each.name for each in fields(BuildOptions)]
_FLAVOR = Flavor("tensorrt", "10.16.1", None)
# For each option a value that is not its default, and how it is written on the command line.
_OTHERWISE: dict[str, tuple[Any, list[str]]] = {
    "shapes": ([{"x": (2, 3)}], ["--shapes", "x=2x3"]),
    "batch": (2, ["--batch", "2"]),
    "sizes": ({"N": 2}, ["--size", "N=2"]),
    "values": ({"n": 2}, ["--values", "n=2"]),
    "precision": ("fp16", ["--fp16"]),
    "keep_float32": (["y"], ["--keep-float32", "y", "--fp16"]),
    "reduced_io": (True, ["--reduced-io", "--fp16"]),
    "tf32": (True, ["--tf32"]),
    "workspace_bytes": (3 << 20, ["--workspace", "3"]),
    "optimization_level": (5, ["--optimization-level", "5"]),
    "hardware_compatible": ("ampere_plus", ["--hardware-compatible", "ampere-plus"]),
    "version_compatible": (True, ["--version-compatible"]),
    "strip": (True, ["--strip"]),
    "refit": (True, ["--refit"]),
    "timing_cache": (Path("t.cache"), ["--timing-cache", "t.cache"]),
    "tactic_sources": (["CUBLAS", "CUDNN"], ["--tactic-sources", "cublas, cudnn"]),
    "outputs": (["y"], ["--outputs", "y"]),
    "mark_all_outputs": (True, ["--mark-all-outputs"]),
    "target_sm": (["8.9"], ["--target-sm", "sm89"]),
    "picture_inputs": ({"x": "bgr,0.5,0.25"}, ["--picture-input", "x=bgr,0.5,0.25"]),
    "input_io_formats": (["fp16"], ["--input-io-formats", "fp16:chw"]),
    "output_io_formats": ({"y": "fp16"}, ["--output-io-formats", "y=fp16"]),
    "sparsity": (True, ["--sparsity"]),
    "dla": (0, ["--dla", "0", "--fp16"]),
    "gpu_fallback": (True, ["--gpu-fallback", "--dla", "0", "--fp16"]),
    "plugins": ([__file__], ["--plugins", __file__]),  # any file, since the cache knows them by their content
}


def _options(name: str) -> BuildOptions:
    needs: dict[str, Any] = {"precision": "fp16"} if name in ("keep_float32", "reduced_io", "dla") else {}
    needs |= {"precision": "fp16", "dla": 0} if name == "gpu_fallback" else {}
    return BuildOptions(**{**needs, name: _OTHERWISE[name][0]})


def _built_with(monkeypatch: pytest.MonkeyPatch, module: str) -> list[BuildOptions]:
    """Return a list to which each build adds its options, in place of building anything."""
    seen: list[BuildOptions] = []

    def build_with(model: Any, engine: Any, options: BuildOptions, **rest: Any) -> tuple[Any, bool]:
        seen.append(options)
        raise onepass.BuildError("not here")

    monkeypatch.setattr(f"{module}.build_with", build_with)
    return seen


@pytest.mark.parametrize("name", _NAMES)
def test_every_option_is_told_and_tells_engines_apart(name: str) -> None:
    """It is in the sidecar, and in the key of the cache, unless it says only how an engine is built."""
    options = _options(name)
    assert name in json.loads(json.dumps(options.to_json()))
    assert (cache_key("a", options, _FLAVOR) == cache_key("a", BuildOptions(), _FLAVOR)) == (name == "timing_cache")


@pytest.mark.parametrize("name", _NAMES)
def test_every_option_reaches_the_build_from_python(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`onepass.build` takes it by its name, with the same default, and documents it as `BuildOptions` does."""
    seen = _built_with(monkeypatch, "onepass.builder._build")
    for words in ({}, {each: getattr(_options(name), each) for each in (name, "precision", "dla")}):
        with pytest.raises(onepass.BuildError):
            onepass.build("m.onnx", **words)
    assert seen == [BuildOptions(), _options(name)]
    for place in (onepass.build, BuildOptions):
        assert f" {name}: " in (inspect.getdoc(place) or "")


def test_the_signature_of_build() -> None:
    """Its parameters are the options in their order, with their types, where it takes no more than they do."""
    parameters = inspect.signature(onepass.build).parameters
    assert [*parameters][2:-3] == _NAMES
    for each in fields(BuildOptions):
        said = str(parameters[each.name].annotation).removesuffix(" | None")
        taken = str(each.type).removesuffix(" | None")
        assert said == {"Path": "str | os.PathLike[str]"}.get(taken, taken)


@pytest.mark.parametrize("name", _NAMES)
def test_every_option_reaches_the_build_from_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`onepass build` has a word for it, with a line of help."""
    seen = _built_with(monkeypatch, "onepass.cli.build")
    with installed(make_tensorrt("11.4.0")):
        for words in ([], _OTHERWISE[name][1]):
            with pytest.raises(SystemExit):
                main(["build", "m.onnx", *words])
    assert [name in options.to_json() for options in seen] == [False, True]
    (option,) = (each for each in command.params if _OTHERWISE[name][1][0] in each.opts)
    assert isinstance(option, click.Option)
    assert option.help


@dataclass(frozen=True)
class _More(BuildOptions):
    """Options of a later onepass."""

    quick: bool = field(default=False, metadata=told("Be quick."))
    level: int | None = field(default=None, metadata=told("Try so hard.", unit="0..3", limits=(0, 3)))
    mood: Literal["at_ease", "in_haste"] | None = field(default=None, metadata=told("How.", decides_engine=False))


def test_an_option_that_is_added() -> None:
    """A field is all that sidecar, cache, checks and command line need to know of a new option."""
    options = _More(quick=True, level=3, mood="in_haste")
    assert options.to_json() == {"quick": True, "level": 3, "mood": "in_haste"}
    assert cache_key("a", options, _FLAVOR) != cache_key("a", _More(), _FLAVOR)
    assert cache_key("a", _More(mood="at_ease"), _FLAVOR) == cache_key("a", _More(), _FLAVOR)
    with pytest.raises(InputError, match="level must be from 0 to 3, got 4"):
        _More(level=4)

    @click.command("build")
    def build(**words: Any) -> dict[str, Any]:
        return words

    hints = {"quick": bool, "level": int | None, "mood": Literal["at_ease", "in_haste"] | None}
    for each in fields(_More)[-3:]:
        option_of(each, hints[each.name])(build)
    words = ["--quick", "--level", "2", "--mood", "in-haste"]
    assert build.main(words, standalone_mode=False) == {"quick": True, "level": 2, "mood": "in_haste"}
    text = build.get_help(click.Context(build))
    assert all(line in text for line in ("Be quick.", "--level 0..3", "[at-ease|in-haste]"))
