"""ONNX's own tests of backends: every set that raw ONNX Runtime passes, `onepass.load` passes too.

`make test-onnx` runs them, apart from the other tests, since they take a while.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from onepass import OnnxGraph, load

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
# How many sets of tensors there are, and how many of them raw ONNX Runtime passes; docs/testing.md has the numbers too.
COUNTED = {("1.23.2", "1.32.0"): (1998, 1666)}


class Case(NamedTuple):
    """One model with one set of inputs and what it shall compute from them."""

    name: str
    model: onnx.ModelProto
    feeds: Mapping[str, Any]
    expected: Sequence[Any]
    tolerances: Mapping[str, float]

    def holds(self, found: Sequence[Any]) -> bool:
        """Whether these are the expected outputs."""
        return len(found) == len(self.expected) and all(map(self._same, found, self.expected))

    def _same(self, found: Any, expected: Any) -> bool:
        found = np.asarray(found)
        if found.shape != expected.shape or (found.dtype == object) != (expected.dtype == object):
            return False
        if found.dtype == object:
            return bool(np.array_equal(found, expected))
        wide = np.complex128 if "c" in (found.dtype.kind, expected.dtype.kind) else np.float64
        return np.allclose(found.astype(wide), expected.astype(wide), equal_nan=True, **self.tolerances)


def _cases() -> Iterator[Case]:
    from onnx.backend.test.loader import load_model_tests  # it makes most of them, which takes seconds

    for case in (each for kind in KINDS for each in load_model_tests(kind=kind)):
        folder = Path(case.model_dir or "")
        model = case.model or onnx.load(folder / "model.onnx")
        weights = {tensor.name for tensor in model.graph.initializer}
        for inputs, outputs in case.data_sets or _stored_sets(folder):
            names = [value.name for value in model.graph.input]
            names = names if len(inputs) == len(names) else [name for name in names if name not in weights]
            arrays = [_array(value) for value in (*inputs, *outputs)]
            if not any(array is None for array in arrays):  # sequences, optionals
                feeds = dict(zip(names, arrays, strict=False))
                tolerances = {"rtol": case.rtol, "atol": case.atol}
                yield Case(case.name, model, feeds, arrays[len(inputs) :], tolerances)


def _stored_sets(folder: Path) -> Iterator[tuple[list[bytes], list[bytes]]]:
    for data in sorted(folder.glob("test_data_set_*")):
        files = {kind: sorted(data.glob(f"{kind}_*.pb"), key=_number) for kind in ("input", "output")}
        yield [each.read_bytes() for each in files["input"]], [each.read_bytes() for each in files["output"]]


def _number(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


def _array(value: Any) -> Any:
    if isinstance(value, (list, dict, type(None))):
        return None
    value = onnx.TensorProto.FromString(value) if isinstance(value, bytes) else value
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
    if array.dtype.kind not in "OUS":
        return array
    texts = [each.decode() if isinstance(each, bytes) else str(each) for each in array.flat]
    return np.array(texts, object).reshape(array.shape)


def _raw_passes(case: Case) -> bool:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(
            case.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return case.holds(session.run(None, dict(case.feeds)))
    except Exception:  # noqa: BLE001 - whatever it does not take
        return False


def _failure(case: Case) -> str | None:
    """Say how onepass fails on a case that raw ONNX Runtime passes; nothing where it does not."""
    try:
        with load(OnnxGraph(case.model)) as session:
            outputs = session(case.feeds)
    except Exception as error:  # noqa: BLE001 - to be reported
        return f"{case.name}: {type(error).__name__}: {error}"
    names = [value.name for value in case.model.graph.output]
    return None if list(outputs) == names and case.holds(list(outputs.values())) else f"{case.name}: other values"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, where ONNX computes what is expected
def test_what_onnxruntime_passes() -> None:
    """Every set of ONNX's own tests that ONNX Runtime passes by itself passes through onepass, by name and in order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = list(_cases())
    with ThreadPoolExecutor(4) as pool:
        passed = [case for case, passes in zip(cases, pool.map(_raw_passes, cases), strict=True) if passes]
        failures = [failure for failure in pool.map(_failure, passed) if failure]
    assert not failures, "\n".join(failures)
    counts = COUNTED.get((onnx.__version__, onnxruntime.__version__))
    assert counts is None or (len(cases), len(passed)) == counts
    assert len(passed) > 1500
