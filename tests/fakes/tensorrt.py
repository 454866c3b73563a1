"""A stand-in for TensorRT's Python module, of any version and flavour whose names are known.

A class, an attribute or a member of an enumeration exists in it exactly if it exists in the real one. What it imitates
is what it takes to build an engine from ONNX and to run it; the rest raises NotImplementedError when it is used. As
with the real one, most calls do not raise but write to the logger, and return False or None.

A fake engine computes with ONNX Runtime. To make one: ``fake_engine("10.16.1", onnx_bytes)``, or build it with the
fake builder.
"""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tests.fakes._build import BUILD
from tests.fakes._classes import Unimplemented, make, make_class, make_enum
from tests.fakes._compile import fake_engine
from tests.fakes._core import CORE, dtype_of, log
from tests.fakes._plugins import PLUGINS
from tests.fakes._runtime import RUNTIME
from tests.fakes._weights import WEIGHTS
from tests.fakes.cuda import FakeCuda
from tests.fakes.facts import module_name, tensorrt_facts, version

__all__ = ["FakeTensorrt", "fake_engine", "make_tensorrt"]

_BASES = {"Logger": "ILogger", "Dims2": "Dims", "Dims3": "Dims", "Dims4": "Dims", "DimsHW": "Dims2"}
# Members of an enumeration that the module also has as names of its own.
_ALIASES = {
    "bool": "BOOL", "float16": "HALF", "float32": "FLOAT", "int8": "INT8", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "bfloat16": "BF16", "fp8": "FP8", "int4": "INT4", "fp4": "FP4", "e8m0": "E8M0",
}  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """What a version writes to its log when it refuses an engine; braces take what is here and what came.

    Those of 8.5 and those of versions and devices are what users report; the others are in their manner.
    """

    magic: str
    version: str
    truncated: str
    failed: str
    device: str = (
        "6: The engine plan file is generated on an incompatible device, expecting compute {} got compute {}, please "
        "rebuild."
    )
    host_code: str = (
        "IRuntime::deserializeCudaEngine: Error Code 3: API Usage Error (The engine contains host code, such as a "
        "lean runtime; set engine_host_code_allowed to allow it)"
    )
    unsupported_gpu: str = (
        "IRuntime::deserializeCudaEngine: Error Code 9: API Usage Error (Target GPU SM {} is not supported by this "
        "TensorRT release.)"
    )


_OLD = Wording(
    "1: [stdArchiveReader.cpp::StdArchiveReader::32] Error Code 1: Serialization (Serialization assertion "
    "magicTagRead == kMAGIC_TAG failed.Magic tag does not match)",
    "1: [stdArchiveReader.cpp::StdArchiveReader::42] Error Code 1: Serialization (Serialization assertion "
    "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: {}, "
    "Serialized Engine Version: {})",
    "1: [stdArchiveReader.cpp::StdArchiveReader::55] Error Code 1: Serialization (Serialization assertion "
    "remaining() >= size failed.Not enough data)",
    "4: [runtime.cpp::deserializeCudaEngine::66] Error Code 4: Internal Error (Engine deserialization failed.)",
)
_NEW = Wording(
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion magicTagRead == "
    "kMAGIC_TAG failed.Magic tag does not match)",
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion stdVersionRead == "
    "kSERIALIZATION_VERSION failed.Version tag does not match. Note: Current Version: {}, Serialized Engine "
    "Version: {})",
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion remaining() >= size "
    "failed.Not enough data)",
    "IRuntime::deserializeCudaEngine: Error Code 4: Internal Error (Engine deserialization failed.)",
)


class _State:
    """What a fake module remembers."""

    def __init__(self, api: str, cuda: FakeCuda) -> None:
        self.api = api
        self.cuda = cuda
        self.calls: Counter[str] = Counter()
        self.builds: list[dict[str, Any]] = []
        self.alive: weakref.WeakSet[Any] = weakref.WeakSet()
        self.logger: Any = None


class FakeTensorrt(ModuleType):
    """The module. Its own names are TensorRT's; what tests look at are properties, so that ``dir`` does not show them.

    Attributes:
        api: Which TensorRT it is, out of `facts.TENSORRT`.
        cuda: The GPUs that it runs on.
        calls: How often each method and property was used, by qualified name: ``"IExecutionContext.infer_shapes"``;
            ``"ICudaEngine.weight_streaming_budget="`` is a property that was set.
        builds: For each build, what it was asked for.
        live: How many runtimes, engines and contexts there are.
    """

    __fake__: _State

    def __init__(self, api: str, cuda: FakeCuda) -> None:
        super().__init__(module_name(api), "A stand-in for tests.")
        self.__dict__["__fake__"] = _State(api, cuda)

    @property
    def api(self) -> str:
        """Which TensorRT it is, out of `facts.TENSORRT`."""
        return self.__fake__.api

    @property
    def cuda(self) -> FakeCuda:
        """The GPUs that it runs on."""
        return self.__fake__.cuda

    @property
    def calls(self) -> Counter[str]:
        """How often each method and property was used."""
        return self.__fake__.calls

    @property
    def builds(self) -> list[dict[str, Any]]:
        """For each build that succeeded, what it was asked for."""
        return self.__fake__.builds

    @property
    def live(self) -> dict[str, int]:
        """How many runtimes, engines and contexts there are."""
        gc.collect()
        return dict(Counter(type(one).__name__ for one in self.__fake__.alive))

    # What its classes ask it.

    @property
    def engine_api(self) -> str:
        """Whose engines it reads: lean and dispatch runtimes read those of the full flavour."""
        return self.api.removeprefix("lean-").removeprefix("dispatch-")

    @property
    def wording(self) -> Wording:
        """What it writes to the log when it refuses an engine."""
        return _OLD if self.api == "8.5.3" else _NEW

    @property
    def shares_profiles(self) -> bool:
        """Whether several contexts may use one profile."""
        return self.api != "8.5.3"

    @property
    def compute(self) -> str:
        """Compute capability of the GPU."""
        return ".".join(map(str, self.cuda.capability))

    def unsupported_gpu(self) -> bool:
        """Whether this flavour refuses the GPU: TensorRT-RTX lists those that it takes."""
        listed = getattr(self, "ComputeCapability", None)
        return listed is not None and "SM" + self.compute.replace(".", "") not in listed.__members__

    def count(self, qualified: str) -> None:
        """Count a use of a method or property."""
        with self.cuda.lock:
            self.calls[qualified] += 1

    def fault(self, text: str) -> None:
        """Note a misuse that TensorRT would let pass."""
        self.cuda.fault(text)

    def track(self, thing: Any) -> None:
        """Keep an eye on an object, for `live`."""
        self.__fake__.alive.add(thing)

    def need_gpu(self, logger: Any) -> None:
        """Refuse to work without a GPU, as TensorRT does (TensorRT-RTX does not)."""
        if not self.api.startswith("rtx") and (self.cuda.driver_missing or not self.cuda.devices):
            number = 35 if self.cuda.driver_missing else 100
            log(self, logger, "WARNING", "Unable to determine GPU memory usage")
            log(self, logger, "ERROR", f"createInferRuntime: Error Code 6: API Usage Error (CUDA initialization "
                f"failure with error: {number}. Please check your CUDA installation)")  # fmt: skip
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def use_logger(self, logger: Any) -> None:
        """Complain of a second logger, as TensorRT does."""
        first = self.__fake__.logger
        if first is None:
            self.__fake__.logger = logger
        elif first is not logger:
            log(self, first, "WARNING", "The logger passed into createInferRuntime differs from one already provided "
                "for an existing builder, runtime, or refitter. Uses of the global logger, returned by "
                "nvinfer1::getLogger(), will return the existing value.")  # fmt: skip


def make_tensorrt(api: str, cuda: FakeCuda | None = None) -> Any:
    """Return a fake TensorRT.

    Args:
        api: Which one, out of `facts.TENSORRT`.
        cuda: The GPUs that it runs on; by default one of its own.
    """
    trt = FakeTensorrt(api, cuda or FakeCuda())
    behaviours = CORE | RUNTIME | BUILD | PLUGINS | WEIGHTS
    for name, fact in tensorrt_facts(api).items():
        if isinstance(fact, list) and fact[:1] == ["enum"]:
            setattr(trt, name, make_enum(name, fact[1:], trt.__name__))
    severities = ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"]
    severity = make_enum("Severity", severities, trt.__name__)
    classes = [name for name, fact in tensorrt_facts(api).items() if isinstance(fact, list) and fact[:1] != ["enum"]]
    for name in sorted(classes, key=_depth):
        bases: tuple[type, ...] = (getattr(trt, _BASES[name]),) if name in _BASES else ()
        if name in ("ILogger", "Logger"):
            nested: dict[str, Any] = {"Severity": severity} | {one: severity[one] for one in severities}
            kind = type(f"_{name}", (behaviours[name],), nested)
            setattr(trt, name, make_class(name, trt, {name: kind}, bases))
        else:
            setattr(trt, name, make_class(name, trt, behaviours, bases))
    for name, fact in tensorrt_facts(api).items():
        if isinstance(fact, str) and not name.startswith("__"):
            setattr(trt, name, _plain(trt, name, severity))
    setattr(trt, "__version__", {"8.5.3": "8.5.3.1"}.get(api, version(api)))  # noqa: B010 - mypy knows no such name
    return trt


def _depth(name: str) -> int:
    return 1 + _depth(_BASES[name]) if name in _BASES else 0


def _plain(trt: Any, name: str, severity: Any) -> Any:
    """Return a name of the module that is no class."""
    if name in _ALIASES:
        return trt.DataType[_ALIASES[name]]
    if name == trt.__name__:
        return trt
    known: dict[str, Any] = {
        "value": severity.VERBOSE,
        "nptype": _nptype,
        "volume": _volume,
        "init_libnvinfer_plugins": _plugins(trt),
        "get_plugin_registry": _registry(trt),
    }
    return known.get(name, Unimplemented(name))


def _nptype(kind: Any) -> Any:
    return dtype_of(kind.name).type


def _volume(shape: Any) -> int:
    return int(np.prod(tuple(shape), dtype=np.int64))


def _plugins(trt: Any) -> Callable[[Any, str], bool]:
    def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
        trt.count("init_libnvinfer_plugins")
        return True

    return init_libnvinfer_plugins


def _registry(trt: Any) -> Callable[[], Any]:
    registry = make(trt.IPluginRegistry)
    return lambda: registry
