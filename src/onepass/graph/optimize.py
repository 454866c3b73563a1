"""Clean up graphs with ONNX Runtime's optimiser, at the level that uses only standard operators."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx

from onepass._errors import UnsupportedModelError
from onepass._optional import import_onnxruntime
from onepass.graph.nodes import all_names, all_nodes, free_name, rename_tensors
from onepass.graph.select import forget_absent


def optimized(model: onnx.ModelProto, *, folder: Path | None) -> onnx.ModelProto:
    """Return the model after constant folding, BatchNorm folding and removal of dead nodes.

    A valid model that the optimiser would make invalid is not optimised.

    Requires: nothing.

    Ensures: names and order of inputs and outputs are unchanged; results are, except for rounding. Standard operators
    stay standard, and unused operator sets are not declared. Tensors that the optimiser creates get names that it will
    not use again, so the result can be optimised again.

    Args:
        model: The model; it is not changed.
        folder: Folder of its external weights, if there are any; the result refers to those that have not changed.

    Raises:
        UnsupportedModelError: ONNX Runtime cannot read the model.
    """
    marked = onnx.ModelProto()
    marked.CopyFrom(model)
    names = _marked(marked.graph)
    proto = _optimized(marked.SerializeToString(), folder)
    _give_names_back(proto.graph, names)
    used = {node.domain for node in all_nodes(proto.graph)} | {"", "ai.onnx"}
    imports = [entry for entry in proto.opset_import if entry.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(imports)
    forget_absent(proto.graph)
    return proto


def _marked(graph: onnx.GraphProto) -> dict[str, str]:
    """Mark every name in a graph, and return ``{marked: former}``.

    The optimiser always uses some fixed names ("gemm_input_shape"), whether or not the model has them already. They
    never collide with marked names.
    """
    taken = all_names(graph)
    mark = "@"
    while any(name.endswith(mark) for name in taken):
        mark += "@"
    names = {name: f"{name}{mark}" for name in taken}
    rename_tensors(graph, names)
    return {marked: name for name, marked in names.items()}


def _give_names_back(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Remove the marks, and give unused names to tensors that the optimiser created."""
    given = dict(names)
    taken = set(names.values())
    for name in sorted(all_names(graph) - set(names)):
        given[name] = free_name(taken, f"{name}_made")
    rename_tensors(graph, given)


def _optimized(data: bytes, folder: Path | None) -> onnx.ModelProto:
    onnxruntime = import_onnxruntime()  # imported here: other operations on graphs do not need it
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    with tempfile.TemporaryDirectory(prefix="onepass-") as scratch:
        result = Path(scratch, "optimized.onnx")
        options.optimized_model_filepath = str(result)
        levels = onnxruntime.GraphOptimizationLevel
        failures: list[Exception] = []
        for level in (levels.ORT_ENABLE_BASIC, levels.ORT_DISABLE_ALL):
            options.graph_optimization_level = level
            try:
                onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
                break
            except Exception as error:
                failures.append(error)
        else:
            raise UnsupportedModelError(f"ONNX Runtime cannot optimise the model: {failures[0]}") from failures[0]
        proto = onnx.ModelProto()
        proto.ParseFromString(result.read_bytes())
    return proto
