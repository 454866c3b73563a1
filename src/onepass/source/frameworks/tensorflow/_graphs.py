"""TensorFlow 1 graphs: frozen graphs, and checkpoints with a graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from onepass._errors import InputError, ModelFormatError, UnsupportedModelError
from onepass.source.framework import Request, Trained
from onepass.source.frameworks.tensorflow._failures import told
from onepass.source.frameworks.tensorflow._graph_network import FEEDS, GraphNetwork
from onepass.source.frameworks.tensorflow._graphdef import replace_references
from onepass.source.frameworks.tensorflow._tensors import in_order, named_tensors, plain_name, upstream

_v1 = tf.compat.v1


def open_frozen(file: Path, request: Request) -> Trained:
    """Open a frozen graph; for errors see `open_`."""
    definition = _v1.GraphDef()
    try:
        definition.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ModelFormatError(f"{file} is damaged or truncated; copy or export it again") from error
    replace_references(definition)
    session = _v1.Session(graph=tf.Graph())
    with session.graph.as_default(), told(file):
        tf.graph_util.import_graph_def(definition, name="")
    if request.outputs is None:
        return _network(session, _ends(session), file)
    return _network(session, named_tensors(session, request.outputs, {}), file)


def open_checkpoint(source: Path, request: Request) -> Trained:
    """Open a checkpoint by its ``.meta`` file or its folder; for errors see `open_`."""
    meta = source if source.suffix == ".meta" else _latest(source)
    if request.outputs is None:
        raise InputError(
            f"{meta} is a training graph, which does not declare its outputs; name them with outputs=[...], using the "
            "tensors' names in TensorBoard or in the code that built the graph"
        )
    prefix = meta.with_suffix("")
    if not prefix.with_name(f"{prefix.name}.index").is_file():
        raise ModelFormatError(f"the weights {prefix}.index are missing; copy all files of the checkpoint")
    session = _v1.Session(graph=tf.Graph(), config=_v1.ConfigProto(allow_soft_placement=True))
    with session.graph.as_default(), told(meta):
        saver = _v1.train.import_meta_graph(str(meta), clear_devices=True)
        saver.restore(session, str(prefix))
    return _network(session, named_tensors(session, request.outputs, {}), meta)


def _latest(folder: Path) -> Path:
    prefix = tf.train.latest_checkpoint(str(folder))
    meta = Path(f"{prefix}.meta") if prefix else next(iter(sorted(folder.glob("*.meta"))), folder / "*.meta")
    if not meta.is_file():
        raise ModelFormatError(
            f"{folder} has no graph ({meta.name}): a checkpoint without one has weights, but not their network"
        )
    return meta


def _network(session: Any, outputs: Mapping[str, Any], source: Path) -> GraphNetwork:
    """Return the part of a graph that computes `outputs`; its inputs are the tensors that must be fed."""
    feeds = {}
    for tensor in upstream(outputs.values()):
        if tensor.op.type in FEEDS and not (tensor.dtype.base_dtype == tf.bool and tensor.shape.rank == 0):
            feeds[plain_name(tensor)] = tensor
    if not feeds:
        raise UnsupportedModelError(
            f"{source}: {', '.join(outputs)} depend on no input, so there is nothing to convert"
        )
    return GraphNetwork(session, {name: feeds[name] for name in in_order(feeds)}, outputs)


def _ends(session: Any) -> dict[str, Any]:
    """Return the tensors that no operator reads, which are a frozen graph's outputs."""
    operations = session.graph.get_operations()
    waited_for = {tensor.op.name for operation in operations for tensor in operation.inputs}
    waited_for |= {before.name for operation in operations for before in operation.control_inputs}
    return {
        plain_name(tensor): tensor
        for operation in operations
        if operation.name not in waited_for and operation.type not in ("Const", *FEEDS)
        for tensor in operation.outputs
    }
