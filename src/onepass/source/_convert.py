"""A trained network in, an ONNX file out."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass._optional import optional
from onepass._version import __version__
from onepass.drafts import check_target
from onepass.source._export import FrameworkExport
from onepass.source._parity import OutputError, parity
from onepass.source.finish import Batch, ModelOptions, Target, finish
from onepass.source.framework import Framework, Request, framework_of, require_trust, source_name
from onepass.source.process import ExportJob, environment_python, export_in_process
from onepass.tensors import Signature, name_tuple, warn_of_left_out

DEFAULT_TIMEOUT_S = 900.0
"""How long a framework may take unless one says otherwise, in seconds."""

_OPSETS = range(7, 26)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What `convert` did.

    Attributes:
        path: The ONNX file.
        signature: Its inputs and outputs.
        framework: The framework that opened the source, and its version: ``"TensorFlow 2.21.0"``.
        errors: For each output, how far it is from what the framework computes; empty if that was not verified.
        seconds: How long it took.
    """

    path: Path
    signature: Signature
    framework: str
    errors: tuple[OutputError, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "path": str(self.path),
            **self.signature.to_json(),
            "framework": self.framework,
            "errors": [error.to_json() for error in self.errors],
            "seconds": self.seconds,
        }


def convert(
    source: Any,
    path: str | os.PathLike[str],
    *,
    opset: int | None = None,
    outputs: str | Iterable[str] | None = None,
    output_names: Iterable[str] | None = None,
    batch: Batch = None,
    channels_first: str | Iterable[str] = (),
    target: Target = None,
    signature: str | None = None,
    tag: str | None = None,
    example_inputs: Any = None,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    verify: bool = True,
    trust: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Conversion:
    """Make an ONNX file of a trained network, with every output under the name that the source gives it.

    The source's own framework then runs it on random and extreme inputs, ONNX Runtime runs the new model on the same,
    and the file is written only if every output agrees.

    Args:
        source: Path of the network, or a module or exported program of PyTorch.
        path: The ONNX file to write.
        opset: Version of ONNX's operators, 7 to 25; 17 where None, and 18 for PyTorch, which writes no older one.
        outputs: The outputs to keep, in the order given, each once; all, in the source's order, where None.
        output_names: New names for the outputs, in the same order.
        batch: How many items the model takes: a number, or ``"dynamic"`` for any; as the source has it where None.
        channels_first: Inputs and outputs, by the source's names, to be [N, channels, height, width] in the ONNX model
            where the source has [N, height, width, channels].
        target: ``"tensorrt"`` for a model that other tools of TensorRT read as it is meant: outputs that are inputs
            become copies under a name with ``_out`` behind it. `onepass.build` sees to that itself.
        signature: Which of a SavedModel's signatures; ``serving_default`` where it has several and this is None.
        tag: Which of a SavedModel's graphs, by its tags; ``serve`` where it has several and this is None.
        example_inputs: Inputs that the network runs on, as arrays or, for PyTorch, tensors: one, several in their
            order, or a mapping by name. PyTorch's modules and TorchScript need them, others where they do not run on
            inputs that are made up.
        dynamic: For PyTorch: sizes that may change, ``{"image": {0: "N"}}``.
        verify: Whether to compare the outputs with the framework's own; the file's metadata say if not.
        trust: Whether to open a source that is a program, as those of TensorFlow, Keras and PyTorch are: what is in it
            is executed. `onepass.formats.PROGRAMS` lists the formats.
        timeout_s: How long the framework may take, or one run of a model that runs in this process.

    Raises:
        UntrustedModelError: The source is a program, and nobody says that it can be trusted.
        ModelNotFoundError, ModelFormatError: The source is not there, or damaged.
        UnsupportedModelError: It, or an operator in it, cannot be converted.
        OutputNameError, InputError: An argument does not fit the source.
        ConversionError: The framework failed, or (`ParityError`) the ONNX model computes something else.
        MissingExtraError: The framework is not installed.
    """
    start = time.perf_counter()
    path = Path(path)
    source = Path(source) if isinstance(source, (str, os.PathLike)) else source
    framework = framework_of(source)
    require_trust(source, trust=trust)
    if opset is not None and opset not in _OPSETS:
        raise InputError(f"opset is a whole number from {_OPSETS[0]} to {_OPSETS[-1]}, got {opset!r}")
    _check_target(path, source)
    options = ModelOptions(
        outputs=None if outputs is None else tuple(dict.fromkeys(name_tuple(outputs))),
        output_names=None if output_names is None else name_tuple(output_names),
        batch=batch,
        channels_first=name_tuple(channels_first),
        target=target,
    )
    request = Request(
        signature=signature,
        tag=tag,
        outputs=options.outputs,
        example_inputs=example_inputs,
        dynamic=dynamic,
        timeout_s=timeout_s,
    )
    _check_request(request, framework)
    framework = framework.covering(source, request, opset or framework.opset)
    job = ExportJob(framework, source, request, options, opset=opset or framework.opset, verify=verify)
    with tempfile.TemporaryDirectory(prefix="onepass-") as scratch:
        exported = _export(job, scratch=Path(scratch), timeout_s=timeout_s)
        if outputs is None:
            warn_of_left_out(exported.signature, source_name(source))
        finished = finish(exported, options)
        if opset is not None and finished.graph.opset != opset:
            raise InputError(
                f"{source_name(source)} is in opset {finished.graph.opset} and cannot be brought down to {opset}: ONNX "
                "has converters upwards only. Leave opset= out, or export it again"
            )
        errors = parity(finished, exported.cases, timeout_s=timeout_s)
        graph = finished.graph.with_metadata(_notes(source, exported.framework, finished.graph.opset, errors))
        graph.save(path)
    return Conversion(path, graph.signature, exported.framework, errors, time.perf_counter() - start)


def _check_target(path: Path, source: Any) -> None:
    """Refuse a place that the model cannot be written to before any work is done.

    Raises:
        InputError: It is the source, a folder, read-only, or in a folder that is not there.
    """
    if isinstance(source, Path) and path.exists() and path.samefile(source):
        raise InputError(f"{path} is the source itself; give the result another name")
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the name of a file to write, such as {path / 'model.onnx'}")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}; make it first")
    try:
        check_target(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def _notes(source: Any, framework: str, opset: int, errors: Sequence[OutputError]) -> dict[str, str]:
    """Return the metadata of the file: what it was made of, and how."""
    return {
        "onepass.source": Path(source).name if isinstance(source, (str, Path)) else source_name(source),
        "onepass.framework": framework,
        "onepass.opset": str(opset),
        "onepass.version": __version__,
        "onepass.verified": "; ".join(map(str, errors)) if errors else "not verified",
    }


def _check_request(request: Request, framework: Framework) -> None:
    """Refuse what the framework has no use for.

    Raises:
        InputError: The request has it.
    """
    for name in ("signature", "tag", "dynamic"):
        if getattr(request, name) is not None and name not in framework.takes:
            raise InputError(f"{name}= is not for a source of {framework.name}; leave it out")


def _export(job: ExportJob, *, scratch: Path, timeout_s: float) -> FrameworkExport:
    """Run the job where its framework is to run: here, in a process, or in an environment of its own."""
    framework = job.framework
    only_read = bool(framework.reference) and not job.verify
    if not framework.runs_code or only_read or not isinstance(job.source, Path):  # what is in memory stays there
        for module in framework.imports:
            optional(module, extra=str(framework.extra), purpose=f"Converting a network of {framework.name}")
        return job.run(scratch)
    python = None if framework.is_here else environment_python(framework)
    return export_in_process(job, folder=scratch, timeout_s=timeout_s, python=python)
