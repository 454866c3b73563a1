"""OnnxGraph: an ONNX model that can be looked at and changed without running it.

Weights that lie in separate files (the only way for models over 2 GB) stay there: loading, looking, selecting and
renaming read the structure alone, and only `OnnxGraph.save` into another folder moves the weights, one at a time.
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
    """An ONNX model in memory; its methods return changed copies and leave it as it is.

    Attributes:
        proto: The model as ``onnx.ModelProto``. Do not change it; take a copy.
        folder: Where the files with external weights lie, or None if there are none.
        name: What to call it in messages: the path that it was read from.
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
        """Read an ONNX file; external weights are not read, but their files must be there in full.

        Raises:
            ModelNotFoundError: There is nothing at `path`.
            ModelFormatError: The file is no sound ONNX model, or a file of its weights is missing or too short.
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
            folder: Where external weights lie, if there are any.
            name: What to call it in an error.

        Raises:
            ModelFormatError: They are no ONNX model, or there are external weights that do not lie in `folder`.
        """
        proto = _parsed(data, name=name)
        if folder is not None:
            return cls(proto, folder=weights.settle_folder(proto, Path(folder, "model.onnx")))
        graph = cls(proto)
        graph.require_weights()
        return graph

    # ---- look --------------------------------------------------------------------------------------------------

    @property
    def signature(self) -> Signature:
        """Inputs and outputs with their names, dtypes and shapes, in the model's order.

        Raises:
            UnsupportedModelError: An input is no dense tensor (a sequence, an optional …), or no output is one.
        """
        return signature_of(self.proto)

    @property
    def opset(self) -> int:
        """Version of the standard operator set that the model is written in (0 if it uses none of it)."""
        return max((entry.version for entry in self.proto.opset_import if entry.domain in ("", "ai.onnx")), default=0)

    @property
    def metadata(self) -> dict[str, str]:
        """The model's own notes (``metadata_props``)."""
        return {entry.key: entry.value for entry in self.proto.metadata_props}

    @property
    def size_bytes(self) -> int:
        """Size of the model with all its weights, those in files beside it included."""
        return self.inline_bytes + weights.external_bytes(self.proto, self.folder)

    @property
    def inline_bytes(self) -> int:
        """Size of the model without the files beside it."""
        return weights.message_bytes(self.proto)

    @property
    def weight_files(self) -> tuple[str, ...]:
        """Names of the files beside the model that hold external weights."""
        return weights.files(self.proto)

    @property
    def parameter_count(self) -> int:
        """How many numbers the model holds: weights and constants, those in branches and functions included."""
        return weights.count_numbers(self.proto)

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """Every tensor of the main graph that `expose` can make an output, in the order of computation."""
        return tensor_names(self.proto.graph)

    def require_weights(self) -> None:
        """Make sure that it is known where external weights lie, before they are looked for wherever we happen to be.

        Raises:
            ModelFormatError: It is not.
        """
        if self.folder is None and self.weight_files:
            raise ModelFormatError(
                f"the model has weights in {', '.join(self.weight_files)}, and nothing says in which folder; "
                "give the path of the file, which tells, in place of its bytes; or OnnxGraph.from_bytes(data, folder=…)"
            )

    def check(self) -> None:
        """Check the model against the ONNX specification, types and shapes of all tensors included.

        Raises:
            ModelFormatError: It breaks the specification; the message is that of ``onnx.checker``.
        """
        with explained("ONNX's checker says"):
            if self.folder is None:
                onnx.checker.check_model(self.proto, full_check=True)
            else:
                # The checker looks for external weights beside the file it is given.
                with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".check-", suffix=".onnx") as file:
                    file.write(self.to_bytes())
                    file.flush()
                    onnx.checker.check_model(file.name, full_check=True)

    # ---- change ------------------------------------------------------------------------------------------------

    def select(self, outputs: str | Iterable[str]) -> OnnxGraph:
        """Keep only the given outputs, in the given order, and what is needed to compute them.

        Inputs and weights that nothing needs any more are dropped too.

        Raises:
            OutputNameError: One of them is no output. `expose` makes inner tensors outputs.
            InputError: None is given; a model needs an output.
        """
        by_name = {value.name: value for value in self.proto.graph.output}
        names = tuple(dict.fromkeys(name_tuple(outputs)))
        for name in names:
            if name not in by_name:
                raise OutputNameError(no_such_name("output", name, tuple(by_name)))
        if not names:
            raise InputError(f"select() was given no output; the model has {', '.join(by_name)}")
        return OnnxGraph(selected(self.proto, [by_name[name] for name in names]), folder=self.folder, name=self.name)

    def expose(self, tensors: str | Iterable[str]) -> OnnxGraph:
        """Add inner tensors of the main graph as outputs, after those there are.

        Raises:
            OutputNameError: The main graph computes no tensor of that name.
            UnsupportedModelError: The dtype of a tensor cannot be inferred, or it is no dense tensor of numbers.
        """
        proto = self._copy()
        expose(proto, name_tuple(tensors))
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def with_true_outputs(self) -> OnnxGraph:
        """Declare the outputs as they are, where ONNX can infer that the model leaves something out or is wrong."""
        outputs = true_outputs(self.proto)
        if outputs == list(self.proto.graph.output):
            return self
        proto = self._copy()
        del proto.graph.output[:]
        proto.graph.output.extend(outputs)
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def rename_outputs(self, names: Mapping[str, str]) -> OnnxGraph:
        """Give outputs new names, ``{old: new}``; inputs keep theirs.

        Raises:
            OutputNameError: The model has no output of an old name.
            InputError: A new name is empty, or that of another tensor.
        """
        proto = self._copy()
        rename_outputs(proto, names)
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def with_metadata(self, notes: Mapping[str, str]) -> OnnxGraph:
        """Add notes to the model's own, or replace those of the same key."""
        proto = self._copy()
        helper.set_model_props(proto, {**self.metadata, **notes})
        return OnnxGraph(proto, folder=self.folder, name=self.name)

    def clean(self) -> OnnxGraph:
        """Fold constants, fold BatchNorm into convolutions, drop what nothing needs; names and order stay.

        This is ONNX Runtime's basic optimisation, which uses standard operators only. External weights that it
        does not change stay where they are.

        Raises:
            UnsupportedModelError: ONNX Runtime cannot read the model.
        """
        return OnnxGraph(optimized(self.proto, folder=self.folder), folder=self.folder, name=self.name)

    # ---- out ---------------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return the serialised model; external weights stay where they are.

        Raises:
            UnsupportedModelError: It is over protobuf's limit of 2 GB; `save` writes such models.
        """
        size = self.inline_bytes
        if size > _PROTOBUF_LIMIT_BYTES:
            raise UnsupportedModelError(f"the model takes {size} bytes, over protobuf's limit of 2 GB; use save()")
        data: bytes = self.proto.SerializeToString()
        return data

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path`; the file is put in place whole or not at all.

        Weights go into one file ``<path>.<digest>.data`` if the model is over 2 GB, or had external weights in another
        folder. It is named by its content, and whole before the model points to it, so that a model that stood there
        before keeps its own weights until then; what nothing points to any more is removed. External weights in the
        same folder stay as they are. Into a pipe or a device goes the model with its weights in it.

        Raises:
            UnsupportedModelError: `path` is a pipe or a device, and the model is over 2 GB.
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
                f"the model takes {size} bytes, over protobuf's limit of 2 GB, and beside {path}, which is no file, "
                "there is no place for its weights; save it to a file"
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
        raise ModelFormatError(f"{name} is not a sound ONNX model: {error}") from error
    if not proto.HasField("graph") or not proto.graph.output:
        raise ModelFormatError(f"{name} is not a sound ONNX model: it has no graph with outputs")
    check_sound(proto, name=name)
    return proto


def with_weights_outside(model: onnx.ModelProto, beside: Path, *, folder: Path | None = None) -> OnnxGraph:
    """Return a graph of the model, which is given away; where it is over 2 GB, its weights are moved to a file first.

    Much of protobuf, ONNX and ONNX Runtime takes a model as one message, which cannot be larger than that.

    Args:
        model: Changed in place.
        beside: A file to be; where there is need for it, the weights are put beside it.
        folder: Where weights that are external already lie, if any do.
    """
    if weights.message_bytes(model) <= _PROTOBUF_LIMIT_BYTES:
        return OnnxGraph(model, folder=folder)
    weights.move_to_file(model, beside, folder=folder)
    return OnnxGraph(model, folder=beside.parent)
