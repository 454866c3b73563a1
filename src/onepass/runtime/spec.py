"""ModelSpec: a model file and how to open it, as one value that can be kept, sent and compared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from onepass._errors import InputError
from onepass.artifacts import path_tuple

BackendName: TypeAlias = Literal["onnxruntime", "tensorrt"]
Optimize: TypeAlias = Literal["none", "basic", "all"]
"""How much ONNX Runtime rewrites a graph before it runs it."""
Provider: TypeAlias = str | tuple[str, Mapping[str, Any]]
"""An ONNX Runtime execution provider, alone or with its options."""

Devices: TypeAlias = int | Sequence[int] | Literal["all"]
"""Number of a GPU, from 0, or several such numbers, or all GPUs."""

# What may follow the @ of a model on the command line.
_SIZES = ("keep_bytes", "weight_streaming_bytes")
_NUMBERS = ("threads", "contexts", *_SIZES)
_NAMES = ("flavor", "backend", "optimize", "weights")
_BOTH = (True, False)
_TRUTHS = {"True": True, "False": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model file and how to open it: what `onepass.load` takes, as one value.

    A spec is frozen, pickles, and goes to JSON and back, so that a worker in another process can open the same model
    in the same way: ``onepass.load(ModelSpec.from_json(received))``. None leaves a choice to onepass.

    Attributes:
        path: The model file; kept as a string.
        backend: The backend that has to run it; by default the one that the file's content calls for.
        device: Number of the GPU, from 0, or of several, or ``"all"``, for engines and the provider ``"cuda"``; several
            are kept as a tuple.
        threads: CPU threads of one call, for ONNX models.
        contexts: How many calls may compute side by side, for the same.
        keep_bytes: How much page-locked memory results may lie in, for the same.
        providers: ONNX Runtime execution providers in order of preference, for ONNX models; kept as a tuple.
        optimize: How much ONNX Runtime rewrites the graph, for ONNX models; by default as much as the model stands.
        tf32: Whether float32 products may be rounded to TF32, for the provider ``"cuda"``.
        flavor: The TensorRT that runs it, for engines: ``"tensorrt"``, ``"tensorrt_rtx"`` ….
        weight_streaming_bytes: How much of the weights stays on the GPU, for engines built with weight streaming.
        plugins: Libraries that have plugins, for engines that take any; kept as a tuple of strings.
        weights: The model whose weights an engine takes that was built for that; kept as a string.

    Raises:
        InputError: A value is of the wrong type, or out of range.
    """

    path: str | os.PathLike[str]
    backend: BackendName | None = None
    device: Devices | None = None
    threads: int | None = None
    contexts: int | None = None
    providers: Sequence[Provider] | None = None
    optimize: Optimize | None = None
    tf32: bool | None = None
    flavor: str | None = None
    keep_bytes: int | None = None
    weight_streaming_bytes: int | None = None
    plugins: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None
    weights: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", _model_path("path", self.path))
        for name, choices in (("backend", get_args(BackendName)), ("optimize", get_args(Optimize)), ("tf32", _BOTH)):
            if getattr(self, name) not in (None, *choices):
                raise InputError(f"{name} is {getattr(self, name)!r}; expected {' or '.join(map(str, choices))}")
        if self.device is not None:
            object.__setattr__(self, "device", checked_devices(self.device))
        for name, least in (("threads", 1), ("contexts", 1), *((each, 0) for each in _SIZES)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise InputError(f"{name} is a whole number from {least} up, got {value!r}")
        flavor: Any = self.flavor
        if flavor is not None and not isinstance(flavor, str):
            raise InputError(f"flavor is the name of a TensorRT, such as 'tensorrt_rtx'; got {self.flavor!r}")
        if self.providers is not None:
            object.__setattr__(self, "providers", checked_providers(self.providers))
        if self.weights is not None:
            object.__setattr__(self, "weights", _model_path("weights", self.weights))
        if self.plugins is not None:
            object.__setattr__(self, "plugins", path_tuple(self.plugins, what="plugins"))

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_json(), sort_keys=True, default=repr))  # options of providers are mappings

    def __str__(self) -> str:
        given = self.options()
        names = [one if isinstance(one, str) else one[0] for one in given.pop("providers", ())]
        names += [f"plugins={library}" for library in given.pop("plugins", ())]
        if isinstance(self.device, tuple):
            given["device"] = "+".join(map(str, self.device))
        words = ",".join([*names, *(f"{name}={value}" for name, value in given.items())])
        return f"{self.path}@{words}" if words else str(self.path)

    @classmethod
    def parse(cls, word: str) -> ModelSpec:
        """Read ``PATH`` or ``PATH@OPTION,…``, where an option is a provider's name or ``NAME=VALUE``.

        ``elg.onnx@cuda``, ``elg.onnx@threads=4``, ``elg.engine@device=1,contexts=2``, ``elg.engine@device=0+1``. A file
        whose name has an at sign is that file.

        Raises:
            InputError: What follows the ``@`` is no such option.
        """
        path, mark, words = word.rpartition("@")
        if not mark or Path(word).exists():
            return cls(word)
        given: dict[str, Any] = {}
        for option in words.split(","):
            name, equals, value = option.partition("=")
            if name and not equals:
                given["providers"] = (*given.get("providers", ()), name)
            elif name == "plugins" and value:
                given["plugins"] = (*given.get("plugins", ()), value)
            elif name == "device" and value:
                given[name] = devices_of(value, between="+")
            elif name in _NUMBERS and value.isascii() and value.isdigit():
                given[name] = int(value)
            elif name in _NAMES and value:
                given[name] = value
            elif name == "tf32" and value in _TRUTHS:
                given[name] = _TRUTHS[value]
            else:
                raise InputError(
                    f"{word!r}: {option!r} is neither a provider nor a number of threads; expected MODEL, MODEL@cuda, "
                    f"MODEL@threads=4 or MODEL@cuda,threads=4; for engines device, {', '.join(_NUMBERS[1:])} "
                    f"or {_NAMES[0]}, such as MODEL@device=1 or MODEL@device=0+1"
                )
        try:
            return cls(path, **given)
        except InputError as error:
            raise InputError(f"{word!r}: {error}") from error

    def options(self) -> dict[str, Any]:
        """Return what was chosen, as keyword arguments of `onepass.load`."""
        return {each.name: value for each in fields(self)[1:] if (value := getattr(self, each.name)) is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, without what is left to onepass; `from_json` reads it back."""
        data = {"path": os.fspath(self.path), **self.options()}
        if isinstance(self.device, tuple):
            data["device"] = list(self.device)
        if self.plugins is not None:
            data["plugins"] = list(path_tuple(self.plugins, what="plugins"))
        if self.providers is not None:
            data["providers"] = [one if isinstance(one, str) else [one[0], dict(one[1])] for one in self.providers]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        """Read what `to_json` wrote.

        Raises:
            InputError: A key is missing or unknown, or a value is not what it should be.
        """
        known = [each.name for each in fields(cls)]
        given: Any = data
        if not isinstance(given, Mapping) or "path" not in given or not set(given) <= set(known):
            raise InputError(f"a model's spec has a path, and may have {', '.join(known[1:])}; got {given!r}")
        return cls(**given)


def _model_path(name: str, path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise InputError(f"{name} is the path of a model file, got {path!r}")
    return str(os.fspath(path))


def checked_devices(devices: Any) -> int | tuple[int, ...] | Literal["all"]:
    """Return the number of a GPU, a tuple of several, or ``"all"``, if that is what it is.

    Raises:
        InputError: It is not.
    """
    if devices == "all":
        return "all"
    several = isinstance(devices, Sequence) and not isinstance(devices, (str, bytes))
    numbers = tuple(devices) if several else (devices,)
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise InputError(f"device is the number of a GPU, from 0 up, a list of such numbers, or 'all'; got {devices!r}")
    if len(set(numbers)) < len(numbers):
        raise InputError(f"device names a GPU twice: {devices!r}")
    return numbers if several else numbers[0]


def devices_of(word: str, *, between: str) -> int | tuple[int, ...] | Literal["all"]:
    """Read the number of a GPU, several of them, or ``all``.

    Raises:
        InputError: It is none of these.
    """
    numbers = [int(part) if part.isascii() and part.isdigit() else part for part in word.split(between)]
    return checked_devices("all" if word == "all" else numbers if len(numbers) > 1 else numbers[0])


def checked_providers(providers: Any) -> tuple[Provider, ...]:
    """Return providers as a tuple of names, and of names with options, if that is what they are.

    Raises:
        InputError: They are not.
    """
    if isinstance(providers, str) or not isinstance(providers, Sequence) or not providers:
        raise InputError(f'providers= takes a list with at least one name, got {providers!r}; write providers=["cpu"]')
    checked: list[Provider] = []
    entry: Any
    for entry in providers:
        if isinstance(entry, str):
            checked.append(entry)
            continue
        pair = tuple(entry) if isinstance(entry, (list, tuple)) else ()
        if len(pair) != 2 or not isinstance(pair[0], str) or not isinstance(pair[1], Mapping):
            raise InputError(f"a provider is a name, or a name with a mapping of options; got {entry!r}")
        checked.append((pair[0], dict(pair[1])))
    return tuple(checked)
