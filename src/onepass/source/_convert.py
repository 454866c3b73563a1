"""Convert a trained network to an ONNX file."""

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
"""Default time limit for a framework, in seconds."""

_OPSETS = range(7, 26)


@dataclass(frozen=True, slots=True)
class Conversion:
    """The result of `convert`.

    Attributes:
        path: The ONNX file.
        signature: Its inputs and outputs.
        framework: Name and version of the framework that opened the source: ``"TensorFlow 2.21.0"``.
        errors: The error of each output compared with the framework's own; empty if not verified.
        seconds: Duration of the conversion.
    """

    path: Path
    signature: Signature
    framework: str
    errors: tuple[OutputError, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
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
    """Convert a trained network to an ONNX file, with every output under its name in the source.

    The source's own framework then runs the network on random and extreme inputs, ONNX Runtime runs the new model on
    the same inputs, and the file is written only if every output agrees.

    Args:
        source: Path of the network, or a PyTorch module or exported program.
        path: The ONNX file to write.
        opset: ONNX opset version, 7 to 25; by default 17, or 18 for PyTorch, which supports no older one.
        outputs: The outputs to keep, in this order, each once; by default all, in the source's order.
        output_names: New names for the outputs, in the same order.
        batch: Batch size of the model: a number, or ``"dynamic"``; None keeps the source's.
        channels_first: Inputs and outputs, by the source's names, to convert from [N, height, width, channels] to
            [N, channels, height, width].
        target: ``"tensorrt"`` for a model that other TensorRT tools read correctly: outputs that are also inputs become
            copies with the suffix ``_out``. Not needed for `onepass.build`.
        signature: The SavedModel signature; ``serving_default`` if there are several and this is None.
        tag: The SavedModel graph, by its tags; ``serve`` if there are several and this is None.
        example_inputs: Inputs that the network accepts, as arrays or, for PyTorch, tensors: one, several in order, or a
            mapping by name. Required for PyTorch modules and TorchScript, and for networks that reject random inputs.
        dynamic: For PyTorch: dynamic sizes, ``{"image": {0: "N"}}``.
        verify: Whether to compare the outputs with the framework's own; otherwise, the file's metadata say so.
        trust: Whether to open a source that is a program, as TensorFlow, Keras and PyTorch files are; its code is
            executed. `onepass.formats.PROGRAMS` lists the formats.
        timeout_s: Time limit for the framework, or for one run of a model that runs in this process.

    Raises:
        UntrustedModelError: The source is a program, and `trust` is not set.
        ModelNotFoundError, ModelFormatError: The source does not exist, or is damaged.
        UnsupportedModelError: The network, or one of its operators, cannot be converted.
        OutputNameError, InputError: An argument does not match the source.
        ConversionError: The framework failed, or (`ParityError`) the ONNX model computes different results.
        MissingExtraError: The framework is not installed.
    """
    start = time.perf_counter()
    path = Path(path)
    source = Path(source) if isinstance(source, (str, os.PathLike)) else source
    framework = framework_of(source)
    require_trust(source, trust=trust)
    if opset is not None and opset not in _OPSETS:
        raise InputError(f"opset must be a whole number from {_OPSETS[0]} to {_OPSETS[-1]}, got {opset!r}")
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
                f"{source_name(source)} uses opset {finished.graph.opset}, which cannot be converted down to {opset}: "
                "ONNX converts opsets upwards only. Omit opset=, or export the model again"
            )
        errors = parity(finished, exported.cases, timeout_s=timeout_s)
        graph = finished.graph.with_metadata(_notes(source, exported.framework, finished.graph.opset, errors))
        graph.save(path)
    return Conversion(path, graph.signature, exported.framework, errors, time.perf_counter() - start)


def _check_target(path: Path, source: Any) -> None:
    """Refuse an unwritable target before any work is done.

    Raises:
        InputError: The target is the source, a folder, read-only, or in a missing folder.
    """
    if isinstance(source, Path) and path.exists() and path.samefile(source):
        raise InputError(f"{path} is the source itself; choose another name for the result")
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the path of a new file, such as {path / 'model.onnx'}")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
    try:
        check_target(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _notes(source: Any, framework: str, opset: int, errors: Sequence[OutputError]) -> dict[str, str]:
    """Return the file's metadata: source, framework, and errors."""
    return {
        "onepass.source": Path(source).name if isinstance(source, (str, Path)) else source_name(source),
        "onepass.framework": framework,
        "onepass.opset": str(opset),
        "onepass.version": __version__,
        "onepass.verified": "; ".join(map(str, errors)) if errors else "not verified",
    }


def _check_request(request: Request, framework: Framework) -> None:
    """Refuse options that the framework does not support.

    Raises:
        InputError: The request has such an option.
    """
    for name in ("signature", "tag", "dynamic"):
        if getattr(request, name) is not None and name not in framework.takes:
            raise InputError(f"{framework.name} sources do not support {name}=; omit it")


def _export(job: ExportJob, *, scratch: Path, timeout_s: float) -> FrameworkExport:
    """Run the job in this process, in a process of its own, or in an environment of its own."""
    framework = job.framework
    only_read = bool(framework.reference) and not job.verify
    if (
        not framework.runs_code or only_read or not isinstance(job.source, Path)
    ):  # networks in memory stay in this process
        for module in framework.imports:
            optional(module, extra=str(framework.extra), purpose=f"Converting {framework.name} networks")
        return job.run(scratch)
    python = None if framework.is_here else environment_python(framework)
    return export_in_process(job, folder=scratch, timeout_s=timeout_s, python=python)
