"""A Triton Python model run by onepass; the exported model.py imports `TritonPythonModel` from here.

onepass must be installed in the Python that Triton uses for models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from onepass._errors import InputError, OnepassError, OutputNameError
from onepass.export.triton.by_onepass import KEY
from onepass.export.triton.casts import Transfer
from onepass.export.triton.edges import TYPE_OF
from onepass.outputs import Array
from onepass.runtime import ModelSpec, load
from onepass.tensors import STRING, TensorSpec


class TritonPythonModel:
    """One instance of a model, in its own process."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the model next to model.py with the options in the configuration."""
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"], args["model_version"])
        given = json.loads(config["parameters"][KEY]["string_value"])
        self._session = load(ModelSpec.from_json({**given, "path": str(folder / given["path"])}))
        signature = self._session.signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._outputs = {spec.name: spec for spec in signature.outputs}
        self._together = config["max_batch_size"] > 0
        self._transfer = Transfer()
        for kind, specs in (("input", self._inputs), ("output", self._outputs)):
            self._check_declared(kind, specs, config[kind])
        self._check_texts()

    def _check_declared(
        self, kind: str, specs: Mapping[str, TensorSpec], declared: Sequence[Mapping[str, Any]]
    ) -> None:
        """Check that the configuration, which all versions share, matches this version."""
        here = [f"{name} {TYPE_OF.get(spec.dtype, spec.dtype)}" for name, spec in specs.items()]
        there = [f"{each['name']} {each['data_type'].removeprefix('TYPE_')}" for each in declared]
        if here != there:
            raise pb.TritonModelException(
                f"{self._session.name} has the {kind}s {', '.join(here)}, but config.pbtxt declares "
                f"{', '.join(there)}; export the model again under another name"
            )

    def _check_texts(self) -> None:
        texts = [spec.name for spec in (*self._inputs.values(), *self._outputs.values()) if spec.dtype == STRING]
        if texts and not self._transfer.is_plain:
            raise pb.TritonModelException(
                f"this Triton cannot pass strings ({', '.join(texts)}) with NumPy {np.__version__}; use Triton 24.11 "
                "or later, or install numpy<2 in the Python that Triton uses for models"
            )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests; if the model supports batches, requests for the same outputs share a pass."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for index, request in enumerate(requests):
            wanted = set(request.requested_output_names())
            names = tuple(name for name in self._outputs if name in wanted)
            groups.setdefault(names, []).append(index)
        answers: list[Any] = [None] * len(requests)
        for names, members in groups.items():
            chosen = [requests[index] for index in members]
            done = self._together_or_one_by_one(chosen, names)
            for index, answer in zip(members, done, strict=True):
                answers[index] = answer
        return answers

    def finalize(self) -> None:
        """Close the model."""
        self._session.close()

    def _together_or_one_by_one(self, requests: Sequence[Any], names: tuple[str, ...]) -> Iterable[Any]:
        """Run requests in one pass; if it fails, run each by itself, so that only the failing request gets an error."""
        if self._together and len(requests) > 1:
            try:
                return self._run(requests, names)
            except OnepassError:
                pass
        return [self._answer(request, names) for request in requests]

    def _answer(self, request: Any, names: tuple[str, ...]) -> Any:
        try:
            [answer] = self._run([request], names)
        except OnepassError as error:
            asked = isinstance(error, (InputError, OutputNameError))
            code = pb.TritonError.INVALID_ARG if asked else pb.TritonError.INTERNAL
            return pb.InferenceResponse([], pb.TritonError(str(error), code))
        return answer

    def _run(self, requests: Sequence[Any], names: tuple[str, ...]) -> list[Any]:
        feeds = [self._feeds(request) for request in requests]
        sizes = [len(next(iter(each.values()))) if self._together else 1 for each in feeds]
        joined = feeds[0] if len(feeds) == 1 else {name: np.concatenate([f[name] for f in feeds]) for name in feeds[0]}
        outputs = self._session(joined, outputs=names)
        made: list[list[Any]] = [[] for _ in requests]
        for name in names:
            parts = [outputs[name]] if len(feeds) == 1 else np.split(outputs[name], np.cumsum(sizes)[:-1])
            for tensors, part in zip(made, parts, strict=True):
                tensors.append(self._transfer.tensor(name, _sent(part, self._outputs[name])))
        return [pb.InferenceResponse(tensors) for tensors in made]

    def _feeds(self, request: Any) -> dict[str, Array]:
        return {
            tensor.name(): _received(self._transfer.array(tensor), self._inputs[tensor.name()])
            for tensor in request.inputs()
        }


def _received(array: Array, spec: TensorSpec) -> Array:
    """Convert an input from Triton, which has no scalars and sends strings as bytes."""
    if spec.shape == ():
        array = array.reshape(())
    if spec.dtype == STRING:
        try:
            return np.array([text.decode() for text in array.flat], object).reshape(array.shape)
        except UnicodeDecodeError as error:
            raise InputError(f"input {spec.name!r} has bytes that are not valid UTF-8 ({error})") from error
    return array


def _sent(array: Array, spec: TensorSpec) -> Array:
    """Convert an output for Triton."""
    if spec.dtype == STRING:
        array = np.array([text.encode() for text in array.flat], object).reshape(array.shape)
    return array.reshape(1) if spec.shape == () else array
