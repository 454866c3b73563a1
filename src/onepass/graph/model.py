"""OnnxGraph: an ONNX model that can be inspected and changed without running it.

External weights (required for models over 2 GB) stay in their files: loading, inspecting, selecting and renaming read
only the structure. Only `OnnxGraph.save` into another folder moves the weights, one at a time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import helper

from onepass._errors import InputError, ModelFormatError, OutputNameError, UnsupportedModelError
from onepass.artifacts import replacing
from onepass.drafts import is_stream
from onepass.formats import Format, format_of
from onepass.graph import weights
from onepass.graph.edges import expose, signature_of, tensor_names, true_outputs
from onepass.graph.optimize import optimized
from onepass.graph.rename import rename_outputs
from onepass.graph.select import selected
from onepass.graph.sound import check_sound, explained
from onepass.tensors import Signature, name_tuple, no_such_name

_PROTOBUF_LIMIT_BYTES = (2 << 30) - 1


class OnnxGraph:
    """An ONNX model in memory; its methods return changed copies and leave it unchanged.

    Attributes:
        proto: The model as ``onnx.ModelProto``. Do not change it; make a copy.
        folder: Folder of the files with external weights, or None if there are none.
        name: Name in messages: the path that the model was read from.
    """

    def __init__(self, proto: onnx.ModelProto, *, folder: Path | None = None, name: str = "the graph given") -> None:
        self.proto = proto
        self.folder = folder
        self.name = name

    def __repr__(self) -> str:
        names = ", ".join(output.name for output in self.proto.graph.output)
        return f"OnnxGraph({len(self.proto.graph.node)} nodes -> {names})"

    # ---- in ----------------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> OnnxGraph:
        """Read an ONNX file; external weights are not read, but their files must be complete.

        Raises:
            ModelNotFoundError: Nothing exists at `path`.
            ModelFormatError: The file is not a valid ONNX model, or a weight file is missing or too short.
        """
        path = Path(path)
        kind = format_of(path)
        if kind is not Format.ONNX:
            raise ModelFormatError(f"{path} is {kind.value}, not an ONNX model")
        proto = _parsed(path.read_bytes(), name=str(path))
        return cls(proto, folder=weights.settle_folder(proto, path) if weights.files(proto) else None, name=str(path))

    @classmethod
    def from_bytes(
        cls, data: bytes, *, folder: str | os.PathLike[str] | None = None, name: str = "the byte string"
    ) -> OnnxGraph:
        """Read a serialised ``onnx.ModelProto``.

        Args:
            data: The bytes of an ``.onnx`` file.
            folder: Folder of the external weights, if there are any.
            name: Name of the model in errors.

        Raises:
            ModelFormatError: The bytes are not an ONNX model, or its external weights are not in `folder`.
        """
        proto = _parsed(data, name=name)
        if folder is not None:
            return cls(proto, folder=weights.settle_folder(proto, Path(folder, "model.onnx")))
        graph = cls(proto)
        graph.require_weights()
        return graph

    # ---- inspect -----------------------------------------------------------------------------------------------

    @property
    def signature(self) -> Signature:
        """Inputs and outputs with their names, dtypes and shapes, in the model's order.

        Raises:
            UnsupportedModelError: An input is not a dense tensor (but a sequence, an optional …), or no output is.
        """
        return signature_of(self.proto)

    @property
    def opset(self) -> int:
        """Version of the standard operator set that the model uses (0 if it uses none)."""
        return max((entry.version for entry in self.proto.opset_import if entry.domain in ("", "ai.onnx")), default=0)

    @property
    def metadata(self) -> dict[str, str]:
        """The model's metadata (``metadata_props``)."""
        return {entry.key: entry.value for entry in self.proto.metadata_props}

    @property
    def size_bytes(self) -> int:
        """Size of the model with all its weights, including those in external files."""
        return self.inline_bytes + weights.external_bytes(self.proto, self.folder)

    @property
    def inline_bytes(self) -> int:
        """Size of the model without external files."""
        return weights.message_bytes(self.proto)

    @property
    def weight_files(self) -> tuple[str, ...]:
        """Names of the files with external weights."""
        return weights.files(self.proto)

    @property
    def parameter_count(self) -> int:
        """Number of elements in all weights and constants, including those in branches and functions."""
        return weights.count_numbers(self.proto)

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """All tensors of the main graph that `expose` can make outputs, in topological order."""
        return tensor_names(self.proto.graph)

    def require_weights(self) -> None:
        """Make sure that the folder of external weights is known, rather than the current directory by chance.

        Raises:
            ModelFormatError: The model has external weights, and their folder is unknown.
        """
        if self.folder is None and self.weight_files:
            raise ModelFormatError(
                f"the model has external weights in {', '.join(self.weight_files)}, but their folder is unknown; "
                "pass the model's path instead of its bytes, or use OnnxGraph.from_bytes(data, folder=…)"
            )

    def check(self) -> None:
        """Check the model against the ONNX specification, including types and shapes of all tensors.

        Raises:
            ModelFormatError: The model violates the specification; the message comes from ``onnx.checker``.
        """
        with explained("onnx.checker reports"):
            if self.folder is None:
                onnx.checker.check_model(self.proto, full_check=True)
            else:
                # The checker looks for external weights beside the given file.
                with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".check-", suffix=".onnx") as file:
                    file.write(self.to_bytes())
                    file.flush()
                    onnx.checker.check_model(file.name, full_check=True)

    # ---- change ------------------------------------------------------------------------------------------------

    def select(self, outputs: str | Iterable[str]) -> OnnxGraph:
        """Keep only the given outputs, in the given order, and all that is needed to compute them.

        Inputs and weights that become unused are dropped, too.

        Raises:
            OutputNameError: A name is not an output. `expose` makes inner tensors outputs.
            InputError: No output is given; a model needs at least one.
        """
        by_name = {value.name: value for value in self.proto.graph.output}
        names = tuple(dict.fromkeys(name_tuple(outputs)))
        for name in names:
            if name not in by_name:
                raise OutputNameError(no_such_name("output", name, tuple(by_name)))
        if not names:
            raise InputError(f"select() needs at least one output; the model has {', '.join(by_name)}")
        return OnnxGraph(selected(self.proto, [by_name[name] for name in names]), folder=self.folder, name=self.name)

    def expose(self, tensors: str | Iterable[str]) -> OnnxGraph:
        """Add inner tensors of the main graph as outputs, after the existing ones.

        Raises:
            OutputNameError: The main graph has no tensor with this name.
            UnsupportedModelError: The dtype of a tensor cannot be inferred, or it is not a dense tensor.
        """
        proto = self._copy()
        expose(proto, name_tuple(tensors))
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def with_true_outputs(self) -> OnnxGraph:
        """Correct the declared types and shapes of outputs, where ONNX infers that they are incomplete or wrong."""
        outputs = true_outputs(self.proto)
        if outputs == list(self.proto.graph.output):
            return self
        proto = self._copy()
        del proto.graph.output[:]
        proto.graph.output.extend(outputs)
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def rename_outputs(self, names: Mapping[str, str]) -> OnnxGraph:
        """Rename outputs, ``{old: new}``; inputs keep their names.

        Raises:
            OutputNameError: The model has no output with an old name.
            InputError: A new name is empty, or belongs to another tensor.
        """
        proto = self._copy()
        rename_outputs(proto, names)
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def with_metadata(self, notes: Mapping[str, str]) -> OnnxGraph:
        """Add entries to the model's metadata, or replace those with the same key."""
        proto = self._copy()
        helper.set_model_props(proto, {**self.metadata, **notes})
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def clean(self) -> OnnxGraph:
        """Fold constants, fold BatchNorm into convolutions, and drop unused nodes; names and order are kept.

        This is ONNX Runtime's basic optimisation level, which uses only standard operators. External weights that it
        does not change stay in their files.

        Raises:
            UnsupportedModelError: ONNX Runtime cannot read the model.
        """
        return OnnxGraph(optimized(self.proto, folder=self.folder), folder=self.folder, name=self.name)

    # ---- out ---------------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return the serialised model; external weights stay in their files.

        Raises:
            UnsupportedModelError: The model exceeds protobuf's limit of 2 GB; `save` can write it.
        """
        size = self.inline_bytes
        if size > _PROTOBUF_LIMIT_BYTES:
            raise UnsupportedModelError(f"the model has {size} bytes, over protobuf's limit of 2 GB; use save()")
        data: bytes = self.proto.SerializeToString()
        return data

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path`, atomically.

        If the model exceeds 2 GB, or had external weights in another folder, the weights go into one file,
        ``<path>.<digest>.data``. The file is named by its content and complete before the model points to it, so a
        former model at `path` keeps its own weights until then; files that become unused are removed. External weights
        in the same folder stay unchanged. Pipes and devices get the model with its weights inside.

        Raises:
            UnsupportedModelError: `path` is a pipe or a device, and the model exceeds 2 GB.
        """
        path = Path(path)
        if is_stream(path):
            self._save_as_one(path)
            return
        place = Path(os.path.realpath(path))
        proto = self.proto
        stays = self.folder is not None and self.folder.resolve() == place.parent
        moves = bool(self.weight_files) and not stays
        written = weights.moved_before(place)
        try:
            with replacing(path) as temporary:
                if self.inline_bytes > _PROTOBUF_LIMIT_BYTES or moves:
                    proto = self._copy()
                    written.append(weights.move_to_file(proto, place, folder=self.folder))
                temporary.write_bytes(proto.SerializeToString())
        finally:
            weights.remove_unused(written, place)

    def _save_as_one(self, path: Path) -> None:
        size = self.size_bytes
        if size > _PROTOBUF_LIMIT_BYTES:
            raise UnsupportedModelError(
                f"the model has {size} bytes, over protobuf's limit of 2 GB, and its weights cannot be stored beside "
                f"{path}, which is not a file; save it to a file"
            )
        with replacing(path) as temporary:
            temporary.write_bytes(weights.in_memory(self.proto, self.folder).SerializeToString())

    def _copy(self) -> onnx.ModelProto:
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        return proto


def _parsed(data: bytes, *, name: str) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ModelFormatError(f"{name} is not a valid ONNX model: {error}") from error
    if not proto.HasField("graph") or not proto.graph.output:
        raise ModelFormatError(f"{name} is not a valid ONNX model: it has no graph with outputs")
    check_sound(proto, name=name)
    return proto


def with_weights_outside(model: onnx.ModelProto, beside: Path, *, folder: Path | None = None) -> OnnxGraph:
    """Return a graph of the model; if it exceeds 2 GB, its weights are moved to a file first.

    Much of protobuf, ONNX and ONNX Runtime treats a model as one message, which cannot be larger.

    Args:
        model: Changed in place; do not use it afterwards.
        beside: Path of the future model file; the weights are written beside it if necessary.
        folder: Folder of existing external weights, if there are any.
    """
    if weights.message_bytes(model) <= _PROTOBUF_LIMIT_BYTES:
        return OnnxGraph(model, folder=folder)
    weights.move_to_file(model, beside, folder=folder)
    return OnnxGraph(model, folder=beside.parent)
