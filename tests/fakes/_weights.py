"""Weights of the fake TensorRT: in which layers they lie, and how a refitter changes those of an engine.

As with the real parser, the kernels and biases of convolutions lie in their layers, and every other weight is a layer
of its own, called like it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.fakes._core import log
from tests.fakes._onnx import Network

Place = tuple[str, str]
"""A layer and a role in it."""
_ROLES = {1: "KERNEL", 2: "BIAS"}


def places(proto: onnx.ModelProto) -> dict[Place, str]:
    """Return which weight of a model lies in which place."""
    floats = {one.name for one in proto.graph.initializer if one.data_type in (1, 10, 16)}
    found: dict[Place, str] = {}
    inside = set()
    for number, node in enumerate(proto.graph.node):
        for index, role in _ROLES.items() if node.op_type in ("Conv", "ConvTranspose") else ():
            if index < len(node.input) and node.input[index] in floats:
                found[node.name or f"{node.op_type}_{number}", role] = node.input[index]
                inside.add(node.input[index])
    return found | {(name, "CONSTANT"): name for name in sorted(floats - inside)}


def constant_nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield a node for each weight that becomes a layer of its own."""
    for (layer, role), name in places(proto).items():
        if role == "CONSTANT":
            yield onnx.helper.make_node("Constant", [], [name], name=layer)


def stripped(data: bytes) -> bytes:
    """Return a model whose weights are all zero."""
    return _with(data, dict.fromkeys(places(onnx.load_from_string(data)).values()))


def _with(data: bytes, changed: dict[str, np.ndarray[Any, Any] | None]) -> bytes:
    proto = onnx.load_from_string(data)
    for tensor in proto.graph.initializer:
        if tensor.name in changed:
            old, new = numpy_helper.to_array(tensor), changed[tensor.name]
            values = np.zeros_like(old) if new is None else np.asarray(new, old.dtype).reshape(old.shape)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return bytes(proto.SerializeToString())


class Refitter:
    """Puts other weights into an engine."""

    _trt: Any
    max_threads = 1
    error_recorder = None
    weights_validation = True

    def __init__(self, engine: Any, logger: Any) -> None:
        self._ready = True
        self._engine, self._logger = engine, logger
        if not engine.refittable:
            log(self._trt, logger, "ERROR", "createInferRefitter: Error Code 3: API Usage Error (not refittable)")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._places = places(engine._network.proto)
        self._set: dict[Place, np.ndarray[Any, Any]] = {}

    @property
    def logger(self) -> Any:
        return self._logger

    def get_all(self) -> tuple[list[str], list[Any]]:
        return self._listed(list(self._places))

    def get_missing(self) -> tuple[list[str], list[Any]]:
        needed = self._places if self._engine._file.stripped else ()
        return self._listed([place for place in needed if place not in self._set])

    def set_weights(self, layer_name: str, role: Any, weights: Any) -> bool:
        place, values = (layer_name, role.name), np.asarray(weights)
        tensors = {one.name: one for one in self._engine._network.proto.graph.initializer}
        fits = self._trt.api == "8.5.3"  # which looks at sizes only when it refits
        if place not in self._places or (
            not fits and values.size != int(np.prod(tensors[self._places[place]].dims, dtype=np.int64))
        ):
            log(self._trt, self._logger, "ERROR", f"IRefitter::setWeights: Error Code 3: API Usage Error (layer "
                f"{layer_name} takes no {role.name} of {values.size} values)")  # fmt: skip
            return False
        self._set[place] = values  # as with the real one, whoever gave it has to keep it
        return True

    def refit_cuda_engine(self) -> bool:
        if self.get_missing()[0]:
            log(self._trt, self._logger, "ERROR", "IRefitter::refitCudaEngine: Error Code 4: Internal Error (missing)")
            return False
        engine = self._engine
        tensors = {one.name: one for one in engine._network.proto.graph.initializer}
        if any(v.size != int(np.prod(tensors[self._places[place]].dims)) for place, v in self._set.items()):
            log(self._trt, self._logger, "ERROR", "2: [refit.cpp::lookup::327] Error Code 2: Internal Error (Assertion "
                "newWeights.count() == original.count() failed. )")  # fmt: skip
            return False
        data = _with(engine._file.onnx, {self._places[place]: values for place, values in self._set.items()})
        engine._file = replace(engine._file, onnx=data, stripped=False)
        engine._network = Network(data)
        return True

    def _listed(self, found: list[Place]) -> tuple[list[str], list[Any]]:
        return [layer for layer, _ in found], [self._trt.WeightsRole[role] for _, role in found]


class SerializationConfig:
    """What is left out when an engine is written: by default, the weights of one that was stripped."""

    _trt: Any

    def _start(self, names: set[str]) -> None:
        self._flags = set(names)

    @property
    def flags(self) -> int:
        return sum(1 << int(self._trt.SerializationFlag[name]) for name in self._flags)

    def set_flag(self, flag: Any) -> bool:
        self._flags.add(flag.name)
        return True

    def clear_flag(self, flag: Any) -> bool:
        self._flags.discard(flag.name)
        return True

    def get_flag(self, flag: Any) -> bool:
        return flag.name in self._flags


WEIGHTS: dict[str, type] = {"Refitter": Refitter, "ISerializationConfig": SerializationConfig}
