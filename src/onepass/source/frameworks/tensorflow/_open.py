"""TensorFlow: SavedModels of both generations, frozen graphs, and checkpoints with their graph beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from onepass._errors import InputError, ModelFormatError, OutputNameError, UnsupportedModelError
from onepass.source.framework import Request, Trained
from onepass.source.frameworks.tensorflow._function import FunctionNetwork
from onepass.source.frameworks.tensorflow._graphdef import FEEDS, GraphNetwork, in_order, replace_references, upstream
from onepass.tensors import no_such_name

_v1 = tf.compat.v1
_VARIABLES = {"Variable", "VariableV2", "VarHandleOp"}
# Signatures that every SavedModel of some versions has, and nobody means.
_NOT_MEANT = {"__saved_model_init_op", "__saved_model_train_op"}


def open_(source: Path, request: Request) -> Trained:
    """Open a SavedModel, a frozen graph, or a checkpoint (its ``.meta`` file, or its folder).

    Raises:
        ModelFormatError: It is damaged, or a part of it is missing.
        InputError: It has no such signature or graph, or several and none was chosen.
        OutputNameError: An output that was asked for is not in the graph.
    """
    if source.name == "saved_model.pb":
        source = source.parent  # a SavedModel is the folder, but people name the file
    if source.is_dir() and (source / "saved_model.pb").is_file():
        return _open_saved_model(source, request)
    if source.is_dir() or source.suffix == ".meta":
        return _open_checkpoint(source, request)
    return _open_frozen(source, request)


# ---- SavedModel --------------------------------------------------------------------------------------------------


def _open_saved_model(folder: Path, request: Request) -> Trained:
    meta = _chosen_graph(folder, request.tag)
    key = _chosen_signature(folder, meta, request.signature)
    _check_variables(folder, meta)
    tags = list(meta.meta_info_def.tags)
    if meta.HasField("object_graph_def") and meta.object_graph_def.nodes:
        with _told(folder):
            model = tf.saved_model.load(str(folder), tags=tags)
        return FunctionNetwork(model.signatures[key], keep=model)
    session = _v1.Session(graph=tf.Graph())
    with session.graph.as_default(), _told(folder):
        _v1.saved_model.loader.load(session, tags, str(folder))
    signature = meta.signature_def[key]
    inputs = {name: _tensor(session, signature.inputs[name]) for name in in_order(signature.inputs)}
    outputs = {name: _tensor(session, signature.outputs[name]) for name in in_order(signature.outputs)}
    return GraphNetwork(session, inputs, {**outputs, **_inner(session, request.outputs, outputs)})


def _chosen_graph(folder: Path, wanted: str | None) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415 - a module that mypy cannot see

    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ModelFormatError(f"{folder}/saved_model.pb is damaged or cut short; copy or export it again") from error
    graphs = {",".join(sorted(meta.meta_info_def.tags)): meta for meta in model.meta_graphs}
    if wanted is not None:
        wanted = ",".join(sorted(tag.strip() for tag in wanted.split(",")))
    elif len(graphs) == 1:
        wanted = next(iter(graphs))
    else:
        wanted = "serve"
    if wanted not in graphs:
        listed = "; ".join(graphs) or "none"
        raise InputError(f"{folder} has no graph with the tags {wanted!r}; tag= chooses one of: {listed}")
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
            f"{folder} has no signature {wanted!r}; signature= chooses one of:{listed}"
            if known
            else f"{folder} has no signatures, and so does not say what its inputs and outputs are; export it with them"
        )
    return wanted


def _check_variables(folder: Path, meta: Any) -> None:
    nodes = [*meta.graph_def.node, *(node for each in meta.graph_def.library.function for node in each.node_def)]
    if not any(node.op in _VARIABLES for node in nodes):
        return
    if not (folder / "variables" / "variables.index").is_file():
        raise ModelFormatError(
            f"{folder} has no variables/variables.index: the weights are missing. A SavedModel is a whole folder; copy "
            "its folder variables, too"
        )


def _tensor(session: Any, info: Any) -> Any:
    if not info.name:
        raise UnsupportedModelError("the signature has a tensor that is not dense; onepass moves dense tensors only")
    return session.graph.get_tensor_by_name(info.name)


# ---- graphs alone, and with a checkpoint -------------------------------------------------------------------------


def _open_frozen(file: Path, request: Request) -> Trained:
    definition = _v1.GraphDef()
    try:
        definition.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ModelFormatError(f"{file} is damaged or cut short; copy or export it again") from error
    replace_references(definition)
    session = _v1.Session(graph=tf.Graph())
    with session.graph.as_default(), _told(file):
        tf.graph_util.import_graph_def(definition, name="")
    if request.outputs is None:
        return _network(session, _ends(session), file)
    return _network(session, _inner(session, request.outputs, {}), file)


def _open_checkpoint(source: Path, request: Request) -> Trained:
    meta = source if source.suffix == ".meta" else _latest(source)
    if request.outputs is None:
        raise InputError(
            f"{meta} is a graph for training, which does not say what its outputs are; name them: outputs=[...], "
            "as TensorBoard or the code that made it names these tensors"
        )
    prefix = meta.with_suffix("")
    if not prefix.with_name(f"{prefix.name}.index").is_file():
        raise ModelFormatError(f"{prefix}.index is missing: the weights. Copy all files of the checkpoint")
    session = _v1.Session(graph=tf.Graph(), config=_v1.ConfigProto(allow_soft_placement=True))
    with session.graph.as_default(), _told(meta):
        saver = _v1.train.import_meta_graph(str(meta), clear_devices=True)
        saver.restore(session, str(prefix))
    return _network(session, _inner(session, request.outputs, {}), meta)


def _latest(folder: Path) -> Path:
    prefix = tf.train.latest_checkpoint(str(folder))
    meta = Path(f"{prefix}.meta") if prefix else next(iter(sorted(folder.glob("*.meta"))), folder / "*.meta")
    if not meta.is_file():
        raise ModelFormatError(
            f"{folder} has no graph ({meta.name}): a checkpoint alone has weights, but not the network they belong to"
        )
    return meta


def _network(session: Any, outputs: Mapping[str, Any], source: Path) -> GraphNetwork:
    """Return the part of a graph that computes `outputs`; its inputs are what it has to be fed."""
    feeds = {}
    for tensor in upstream(outputs.values()):
        if tensor.op.type in FEEDS and not (tensor.dtype.base_dtype == tf.bool and tensor.shape.rank == 0):
            feeds[_plain(tensor)] = tensor
    if not feeds:
        raise UnsupportedModelError(f"{source}: {', '.join(outputs)} need no input, so there is nothing to convert")
    return GraphNetwork(session, {name: feeds[name] for name in in_order(feeds)}, outputs)


def _ends(session: Any) -> dict[str, Any]:
    """Return the tensors of operators that none waits for: what a frozen graph has for outputs."""
    operations = session.graph.get_operations()
    waited_for = {tensor.op.name for operation in operations for tensor in operation.inputs}
    waited_for |= {before.name for operation in operations for before in operation.control_inputs}
    return {
        _plain(tensor): tensor
        for operation in operations
        if operation.name not in waited_for and operation.type not in ("Const", *FEEDS)
        for tensor in operation.outputs
    }


def _inner(session: Any, names: tuple[str, ...] | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of a graph of these names that are not known yet.

    Raises:
        OutputNameError: There is none of that name.
    """
    found = {}
    for name in names or ():
        if name in known:
            continue
        try:
            found[name] = session.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
        except (KeyError, ValueError) as error:
            tensors = tuple(_plain(each) for operation in session.graph.get_operations() for each in operation.outputs)
            raise OutputNameError(no_such_name("output", name, tuple(known) or tensors)) from error
    return found


def _plain(tensor: Any) -> str:
    return str(tensor.name).removesuffix(":0")


@contextmanager
def _told(source: Path) -> Iterator[None]:
    """Turn what TensorFlow raises over damaged files into an error that says which file it is."""
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        if "Op type not registered" in str(error):
            raise UnsupportedModelError(
                f"{source} has an operator that is not TensorFlow's: {_brief(error)}"
            ) from error
        raise ModelFormatError(f"{source} is damaged, or a part of it is missing: {_brief(error)}") from error
    except (ValueError, KeyError) as error:
        raise UnsupportedModelError(f"TensorFlow {tf.__version__} cannot load {source}: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    return (str(getattr(error, "message", "")) or str(error)).strip().splitlines()[0][:400]
