"""The layers of a built engine and the types that they compute in, as reported by TensorRT's inspector."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from onepass._errors import EngineError
from onepass.engine._inspected import layer_in
from onepass.engine.flavor import Flavor, find_flavor
from onepass.engine.log import get_logger
from onepass.engine.plan import Plan
from onepass.engine.plugins import check_plugins, load_plugins

# Spellings of types in the output of TensorRT's inspector, in all versions.
_WORDS = (
    ("fp16", re.compile(r"\b(?:FP16|Half)\b", re.IGNORECASE)),
    ("bf16", re.compile(r"\b(?:BF16|BFloat16)\b", re.IGNORECASE)),
    ("fp8", re.compile(r"\b(?:FP8|E4M3)\w*\b", re.IGNORECASE)),
    ("int8", re.compile(r"\bInt8\b", re.IGNORECASE)),
    ("fp32", re.compile(r"\b(?:FP32|Float)\b", re.IGNORECASE)),
)


class Layer(NamedTuple):
    """One layer of an engine: name, kind, and the types and names of the tensors that it reads and writes."""

    name: str
    kind: str
    types: tuple[str, ...]
    reads: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()


class TimedLayer(NamedTuple):
    """A layer, its time in milliseconds, and the model's outputs that need it, in the model's order."""

    layer: Layer
    milliseconds: float
    outputs: tuple[str, ...]


def layers_of_engine(flavor: Flavor, engine: Any, *, context: Any = None) -> list[Layer]:
    """List the layers of a deserialised engine, as reported by the inspector.

    Args:
        flavor: The TensorRT that the engine belongs to.
        engine: TensorRT's engine object.
        context: Execution context with input shapes set, which TensorRT 8 needs to report the types of tensors with
            dynamic shapes. By default a context is created with the optimum shapes.
    """
    inspector = engine.create_engine_inspector()
    context = context if context is not None else _context_with_shapes(flavor, engine)
    if context is not None:
        inspector.execution_context = context
    form = flavor.member("LayerInformationFormat", "JSON")
    try:
        layers = json.loads(inspector.get_engine_information(form), strict=False).get("Layers", ())
    except ValueError:  # one layer with invalid JSON must not spoil the others
        layers = [layer_in(inspector.get_layer_information(index, form)) for index in range(engine.num_layers)]
    return [_layer(each) for each in layers]


def _context_with_shapes(flavor: Flavor, engine: Any) -> Any:
    """Return a context with optimum shapes, without device memory; None for static shapes and shape tensors."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name).name == "INPUT"]
    if any(engine.is_shape_inference_io(name) for name in names):
        return None
    dynamic = [name for name in inputs if -1 in tuple(engine.get_tensor_shape(name))]
    if not dynamic:
        return None
    context = flavor.context_without_memory(engine)
    is_set = context is not None and all(
        context.set_input_shape(name, tuple(engine.get_tensor_profile_shape(name, 0)[1])) for name in dynamic
    )
    return context if is_set else None


def _layer(data: Any) -> Layer:
    if not isinstance(data, Mapping):  # without DETAILED verbosity, only the layer's name is known
        return Layer(str(data), "", ())
    formats = json.dumps(
        [[edge.get("Format/Datatype", "") for edge in data.get(side, ())] for side in ("Inputs", "Outputs")]
    )
    types = tuple(name for name, word in _WORDS if word.search(formats))
    reads, makes = (
        tuple(str(edge["Name"]) for edge in data.get(side, ()) if "Name" in edge) for side in ("Inputs", "Outputs")
    )
    return Layer(str(data.get("Name", "")), str(data.get("LayerType", "")), types, reads, makes)


def outputs_served(layers: Sequence[Layer], outputs: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the outputs that need each layer; empty if the engine does not report what its layers read.

    Args:
        layers: Layers of an engine.
        outputs: Tensor name in the engine to output name in the model, in the model's order.
    """
    makers: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        for tensor in layer.makes:
            makers.setdefault(tensor, []).append(index)
    served: list[list[str]] = [[] for _ in layers]
    for tensor, name in outputs.items():
        waiting, seen = [tensor], {tensor}
        needed: set[int] = set()
        while waiting:
            for index in makers.get(waiting.pop(), ()):
                needed.add(index)
                fresh = {*layers[index].reads} - seen
                seen |= fresh
                waiting += fresh
        for index in needed:
            served[index].append(name)
    return [tuple(names) for names in served]


def layers_of_plan(
    plan: Plan, *, plugins: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = ()
) -> list[Layer]:
    """List the layers of a built engine, on a machine where the engine runs.

    Args:
        plan: The engine.
        plugins: Libraries with the plugins that the engine needs.

    Raises:
        MissingExtraError: The TensorRT that built the engine is not installed.
        EngineError: The engine does not run here, so it cannot be inspected; the message contains TensorRT's log.
        EngineMismatchError: The file is not the engine that the sidecar describes.
    """
    data, flavor = plan.engine_bytes(), find_flavor(plan.flavor)
    load_plugins(flavor, plugins)
    check_plugins(flavor, plan.plugins, name="the engine", built_with=plan.options.get("plugins", ()))
    logger = get_logger(flavor)
    mark = logger.book.mark()
    engine = flavor.module.Runtime(logger).deserialize_cuda_engine(data) if flavor.can_inspect else None
    if engine is None:
        log = logger.book.text(mark, at_least="ERROR") or f"  {flavor} has no inspector"
        raise EngineError(f"layers can be listed only where the engine runs; {flavor} cannot load it here:\n{log}")
    return layers_of_engine(flavor, engine)
