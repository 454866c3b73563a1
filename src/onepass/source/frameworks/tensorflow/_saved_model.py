"""SavedModels of TensorFlow 1 and 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from onepass._errors import InputError, ModelFormatError, UnsupportedModelError
from onepass.source.framework import Request, Trained
from onepass.source.frameworks.tensorflow._failures import told
from onepass.source.frameworks.tensorflow._function import FunctionNetwork
from onepass.source.frameworks.tensorflow._graph_network import GraphNetwork
from onepass.source.frameworks.tensorflow._tensors import in_order, named_tensors

_v1 = tf.compat.v1
_VARIABLES = {"Variable", "VariableV2", "VarHandleOp"}
# Internal signatures of SavedModels from some versions.
_NOT_MEANT = {"__saved_model_init_op", "__saved_model_train_op"}


def open_saved_model(folder: Path, request: Request) -> Trained:
    """Open a SavedModel's folder; for errors see `open_`."""
    meta = _chosen_graph(folder, request.tag)
    key = _chosen_signature(folder, meta, request.signature)
    _check_variables(folder, meta)
    tags = list(meta.meta_info_def.tags)
    has_objects = meta.HasField("object_graph_def") and bool(meta.object_graph_def.nodes)
    model = _objects(folder, tags) if has_objects else None
    if model is not None:
        return FunctionNetwork(model.signatures[key], keep=model)
    session = _v1.Session(graph=tf.Graph())
    with session.graph.as_default(), told(folder):
        _v1.saved_model.loader.load(session, tags, str(folder))
    signature = meta.signature_def[key]
    inputs = {name: _tensor(session, signature.inputs[name]) for name in in_order(signature.inputs)}
    outputs = {name: _tensor(session, signature.outputs[name]) for name in in_order(signature.outputs)}
    return GraphNetwork(session, inputs, {**outputs, **named_tensors(session, request.outputs, outputs)})


def _objects(folder: Path, tags: list[str]) -> Any:
    """Return the objects that TensorFlow 2 saved; None if this version cannot restore them.

    Optimisers of Keras 2, for example, cannot be restored. A signature is a graph and needs no other objects.
    """
    with told(folder):
        try:
            return tf.saved_model.load(str(folder), tags=tags)
        except (tf.errors.OpError, OSError):
            raise
        except Exception:  # noqa: BLE001 - incompatible objects can raise any exception
            return None


def _chosen_graph(folder: Path, wanted: str | None) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415 - a module that mypy cannot see

    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ModelFormatError(f"{folder}/saved_model.pb is damaged or truncated; copy or export it again") from error
    graphs = {",".join(sorted(meta.meta_info_def.tags)): meta for meta in model.meta_graphs}
    if wanted is not None:
        wanted = ",".join(sorted(tag.strip() for tag in wanted.split(",")))
    elif len(graphs) == 1:
        wanted = next(iter(graphs))
    else:
        wanted = "serve"
    if wanted not in graphs:
        listed = "; ".join(graphs) or "none"
        raise InputError(f"{folder} has no graph with the tags {wanted!r}; set tag= to one of: {listed}")
    return graphs[wanted]


def _chosen_signature(folder: Path, meta: Any, wanted: str | None) -> str:
    known = {key: each for key, each in meta.signature_def.items() if key not in _NOT_MEANT and each.outputs}
    if wanted is None:
        wanted = next(iter(known)) if len(known) == 1 else "serving_default"
    if wanted not in known:
        listed = "".join(
            f"\n  {key}({', '.join(in_order(each.inputs))}) -> {', '.join(in_order(each.outputs))}"
            for key, each in sorted(known.items())
        )
        raise InputError(
            f"{folder} has no signature {wanted!r}; set signature= to one of:{listed}"
            if known
            else f"{folder} has no signatures, which define inputs and outputs; export it again with signatures"
        )
    return wanted


def _check_variables(folder: Path, meta: Any) -> None:
    nodes = [*meta.graph_def.node, *(node for each in meta.graph_def.library.function for node in each.node_def)]
    if not any(node.op in _VARIABLES for node in nodes):
        return
    if not (folder / "variables" / "variables.index").is_file():
        raise ModelFormatError(
            f"the weights of {folder} are missing (variables/variables.index). A SavedModel is a whole folder; copy "
            "its subfolder variables as well"
        )


def _tensor(session: Any, info: Any) -> Any:
    if not info.name:
        raise UnsupportedModelError("the signature has a tensor that is not dense; onepass supports only dense tensors")
    return session.graph.get_tensor_by_name(info.name)
