"""A classifier of scikit-learn: labels that are strings, and probabilities as a tensor or as a sequence of maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import OnepassWarning
from tests.source.networks import needs

needs("sklearn", "skl2onnx")
from skl2onnx import to_onnx  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
_RNG = np.random.default_rng(0)
X = _RNG.standard_normal((60, 4)).astype(np.float32)
LABELS = np.array(["cat", "dog", "ox"])[np.argmax(X[:, :3], axis=1)]


@pytest.fixture(scope="module")
def classifier() -> Any:
    """One that tells three animals apart."""
    return LogisticRegression().fit(X, LABELS)


def test_string_labels(classifier: Any, tmp_path: Path) -> None:
    """Labels come as strings beside their probabilities, by name, and the model converts as any other."""
    model = to_onnx(classifier, X[:1], options={"zipmap": False}, target_opset=17)
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx")
    assert done.signature.output_names == ("label", "probabilities")
    with onepass.load(tmp_path / "out.onnx") as session:
        outputs = session(X=X)
    assert outputs["label"].tolist() == classifier.predict(X).tolist()
    np.testing.assert_allclose(outputs["probabilities"], classifier.predict_proba(X), atol=1e-5)


def test_maps_of_probabilities(classifier: Any, tmp_path: Path) -> None:
    """What scikit-learn's converter gives unasked, a map a row, is left out with a warning; the labels are there."""
    (tmp_path / "in.onnx").write_bytes(to_onnx(classifier, X[:1], target_opset=17).SerializeToString())
    with pytest.warns(OnepassWarning, match="output_probability"):
        done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx")
    assert done.signature.output_names == ("output_label",)
    with onepass.load(tmp_path / "out.onnx") as session:
        assert session(X=X)["output_label"].tolist() == classifier.predict(X).tolist()
