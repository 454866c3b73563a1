"""GazeML's checkpoints, as TensorFlow writes them, and what TensorFlow computes from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onepass

_gazeml = pytest.importorskip(
    "tests.source.gazeml_network", reason="TensorFlow is not installed (make test-convert has it)"
)
tf, elg = _gazeml.tf, _gazeml.elg


def test_against_tensorflow(tmp_path: Path) -> None:
    """Checkpoints that TensorFlow's Saver wrote become a model that computes what TensorFlow computes from them."""
    name, sides, stride, features, modules = "ELG_i90x54_f30x18_n16_m2", (54, 90), 3, 16, 2
    eye = np.random.default_rng(0).uniform(-1, 1, (3, *sides, 1)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        given = tf.placeholder(tf.float32, [None, *sides, 1])
        outputs = elg(given, features, modules, stride)
        session.run(tf.global_variables_initializer())
        for part in ("hourglass", "radius"):
            folder = tmp_path / name / "checkpoints" / part
            folder.mkdir(parents=True)
            mine = [variable for variable in tf.global_variables() if variable.name.startswith(f"{part}/")]
            tf.train.Saver(mine, max_to_keep=2).save(session, f"{folder}/model", global_step=4672000)
        expected = session.run(outputs, {given: eye})
    done = onepass.convert(tmp_path / name, tmp_path / "elg.onnx")
    assert done.framework == "GazeML model-4672000"
    with onepass.load(tmp_path / "elg.onnx") as model:
        found = model(eye=eye.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(found["heatmaps"].transpose(0, 2, 3, 1), expected["heatmaps"], atol=1e-4)
    np.testing.assert_allclose(found["landmarks"], expected["landmarks"], atol=1e-2)
    np.testing.assert_allclose(found["radius"], expected["radius"], atol=1e-2)
