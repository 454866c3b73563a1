"""ModelSpec: a model file and the options to open it, as one value that can be stored, sent and compared."""

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
"""How much ONNX Runtime optimises a graph."""
Provider: TypeAlias = str | tuple[str, Mapping[str, Any]]
"""An ONNX Runtime execution provider, alone or with its options."""

Devices: TypeAlias = int | Sequence[int] | Literal["all"]
"""Number of a GPU, starting from 0, or several numbers, or all GPUs."""

# Options that may follow the @ of a model on the command line.
_SIZES = ("keep_bytes", "weight_streaming_bytes")
_NUMBERS = ("threads", "contexts", *_SIZES)
_NAMES = ("flavor", "backend", "optimize", "weights")
_BOTH = (True, False)
_TRUTHS = {"True": True, "False": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model file and the options to open it: the arguments of `onepass.load` as one value.

    A spec is frozen, can be pickled, and converts to JSON and back. So a worker in another process can open the same
    model in the same way: ``onepass.load(ModelSpec.from_json(received))``. None means onepass's default.

    Attributes:
        path: The model file; stored as a string.
        backend: The backend that must run the model; by default, the file's content decides.
        device: Number of the GPU, starting from 0, or several numbers, or ``"all"``, for engines and the provider
            ``"cuda"``; several numbers are stored as a tuple.
        threads: CPU threads per call, for ONNX models.
        contexts: Number of calls that may compute concurrently, for engines and the provider ``"cuda"``.
        keep_bytes: Limit of page-locked memory for results, for engines and the provider ``"cuda"``.
        providers: ONNX Runtime execution providers in order of preference, for ONNX models; stored as a tuple.
        optimize: How much ONNX Runtime optimises the graph, for ONNX models; by default as much as the model allows.
        tf32: Whether float32 products may use TF32, for the provider ``"cuda"``.
        flavor: The TensorRT that runs an engine: ``"tensorrt"``, ``"tensorrt_rtx"`` ….
        weight_streaming_bytes: How much of the weights stays on the GPU, for engines built with weight streaming.
        plugins: Libraries with the plugins that an engine needs; stored as a tuple of strings.
        weights: The model with the weights for a stripped or refittable engine; stored as a string.

    Raises:
        InputError: A value has the wrong type or is out of range.
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
                raise InputError(f"{name} must be {' or '.join(map(str, choices))}, got {getattr(self, name)!r}")
        if self.device is not None:
            object.__setattr__(self, "device", checked_devices(self.device))
        for name, least in (("threads", 1), ("contexts", 1), *((each, 0) for each in _SIZES)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise InputError(f"{name} must be a whole number ≥ {least}, got {value!r}")
        flavor: Any = self.flavor
        if flavor is not None and not isinstance(flavor, str):
            raise InputError(f"flavor must be the name of a TensorRT, such as 'tensorrt_rtx', got {self.flavor!r}")
        if self.providers is not None:
            object.__setattr__(self, "providers", checked_providers(self.providers))
        if self.weights is not None:
            object.__setattr__(self, "weights", _model_path("weights", self.weights))
        if self.plugins is not None:
            object.__setattr__(self, "plugins", path_tuple(self.plugins, what="plugins"))

    def __hash__(self) -> int:
        # Provider options are mappings, which are not hashable.
        return hash(json.dumps(self.to_json(), sort_keys=True, default=repr))

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
        """Read ``PATH`` or ``PATH@OPTION,…``, where an option is the name of a provider, or ``NAME=VALUE``.

        Examples: ``elg.onnx@cuda``, ``elg.onnx@threads=4``, ``elg.engine@device=1,contexts=2``,
        ``elg.engine@device=0+1``. If a file with the complete name exists, including the at sign, it is this file.

        Raises:
            InputError: An unknown option follows the ``@``.
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
                    f"{word!r}: unknown option {option!r}; expected MODEL, MODEL@cuda, MODEL@threads=4 or "
                    f"MODEL@cuda,threads=4; for engines also device, {', '.join(_NUMBERS[1:])} or {_NAMES[0]}, such as "
                    "MODEL@device=1 or MODEL@device=0+1"
                )
        try:
            return cls(path, **given)
        except InputError as error:
            raise InputError(f"{word!r}: {error}") from error

    def options(self) -> dict[str, Any]:
        """Return the options that are set, as keyword arguments of `onepass.load`."""
        return {each.name: value for each in fields(self)[1:] if (value := getattr(self, each.name)) is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, without unset options; `from_json` reads it back."""
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
            InputError: A key is missing or unknown, or a value is invalid.
        """
        known = [each.name for each in fields(cls)]
        given: Any = data
        if not isinstance(given, Mapping) or "path" not in given or not set(given) <= set(known):
            raise InputError(f"a model spec needs a path, and may have {', '.join(known[1:])}; got {given!r}")
        return cls(**given)


def _model_path(name: str, path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise InputError(f"{name} must be the path of a model file, got {path!r}")
    return str(os.fspath(path))


def checked_devices(devices: Any) -> int | tuple[int, ...] | Literal["all"]:
    """Validate the number of a GPU, several numbers (returned as a tuple), or ``"all"``.

    Raises:
        InputError: `devices` is none of these.
    """
    if devices == "all":
        return "all"
    several = isinstance(devices, Sequence) and not isinstance(devices, (str, bytes))
    numbers = tuple(devices) if several else (devices,)
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise InputError(f"device must be the number of a GPU (≥ 0), a list of numbers, or 'all'; got {devices!r}")
    if len(set(numbers)) < len(numbers):
        raise InputError(f"device contains a GPU twice: {devices!r}")
    return numbers if several else numbers[0]


def devices_of(word: str, *, between: str) -> int | tuple[int, ...] | Literal["all"]:
    """Read the number of a GPU, several numbers, or ``all``.

    Raises:
        InputError: `word` is none of these.
    """
    numbers = [int(part) if part.isascii() and part.isdigit() else part for part in word.split(between)]
    return checked_devices("all" if word == "all" else numbers if len(numbers) > 1 else numbers[0])


def checked_providers(providers: Any) -> tuple[Provider, ...]:
    """Validate providers, and return them as a tuple of names, or of (name, options) pairs.

    Raises:
        InputError: `providers` is not a list of these.
    """
    if isinstance(providers, str) or not isinstance(providers, Sequence) or not providers:
        name = providers if isinstance(providers, str) and providers else "cpu"
        raise InputError(f'providers= must be a non-empty list of names, got {providers!r}; use providers=["{name}"]')
    checked: list[Provider] = []
    entry: Any
    for entry in providers:
        if isinstance(entry, str):
            checked.append(entry)
            continue
        pair = tuple(entry) if isinstance(entry, (list, tuple)) else ()
        if len(pair) != 2 or not isinstance(pair[0], str) or not isinstance(pair[1], Mapping):
            raise InputError(f"a provider must be a name, or a pair of a name and a mapping of options; got {entry!r}")
        checked.append((pair[0], dict(pair[1])))
    return tuple(checked)
