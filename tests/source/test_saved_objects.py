"""SavedModels with objects that the TensorFlow of today cannot make again: their signatures are enough."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import UnsupportedModelError
from tests.source.networks import converted, needs

needs("tensorflow", "tf2onnx")
import tensorflow as tf  # noqa: E402
from tensorflow.core.protobuf import saved_model_pb2  # noqa: E402
from tensorflow.python.saved_model.nested_structure_coder import NotEncodableError  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("in_this_process")]


class _Trained(tf.Module):  # type: ignore[misc]
    """A network that was trained: its optimiser keeps a momentum for the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32))
        self.momentum = tf.Variable(tf.zeros((3, 2)))
        self.optimizer = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def plain(self, x: Any) -> dict[str, Any]:
        return {"score": x @ self.w, "twice": x * 2}

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def branching(self, x: Any) -> dict[str, Any]:
        def step(i: Any, y: Any) -> tuple[Any, Any]:
            return i + 1, y @ self.w @ tf.transpose(self.w)

        score = tf.cond(tf.reduce_sum(x) > 0, lambda: x @ self.w, lambda: x @ self.w - 1)
        return {"score": score, "steps": tf.while_loop(lambda i, y: i < 3, step, (0, x))[1]}


def _slot(objects: Any, ids: dict[str, int]) -> None:
    """What Keras 2 wrote after compile() and fit()."""
    optimizer = objects[ids["optimizer"]]
    optimizer.user_object.identifier = "optimizer"
    optimizer.slot_variables.add(
        original_variable_node_id=ids["w"], slot_name="momentum", slot_variable_node_id=ids["momentum"]
    )


def _lost_function(objects: Any, ids: dict[str, int]) -> None:
    """An object that names a function which nobody saved."""
    objects[ids["optimizer"]].function.concrete_functions.append("__inference_lost_1")


@pytest.mark.parametrize("spoil", [_slot, _lost_function])
@pytest.mark.parametrize("function", ["plain", "branching"])
def test_a_signature_is_enough(spoil: Callable[[Any, dict[str, int]], None], function: str, tmp_path: Path) -> None:
    """Whatever the other objects are, the signature's outputs come by name, in any batch, as TensorFlow has them."""
    network = _Trained()
    tf.saved_model.save(network, str(tmp_path / "model"), signatures=getattr(network, function))
    file = tmp_path / "model" / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(file.read_bytes())
    objects = saved.meta_graphs[0].object_graph_def.nodes
    spoil(objects, {child.local_name: child.node_id for child in objects[0].children})
    file.write_bytes(saved.SerializeToString())
    with pytest.raises((AttributeError, NotEncodableError)):
        tf.saved_model.load(str(tmp_path / "model"))

    converted(tmp_path / "model", tmp_path / "out.onnx")
    x = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    with onepass.load(tmp_path / "out.onnx") as session:
        outputs = session(x=x)
    expected = getattr(network, function)(x)
    assert set(outputs) == set(expected)
    for name, array in outputs.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5)


def test_a_network_that_this_version_cannot_load_at_all(tmp_path: Path) -> None:
    """Where the signature's own graph cannot be loaded either, the message says which file it is, and why."""
    network = _Trained()
    tf.saved_model.save(network, str(tmp_path / "model"), signatures=network.plain)
    file = tmp_path / "model" / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"MatMul", b"MatMuk"))
    with pytest.raises(UnsupportedModelError, match=r"model has an operator that TensorFlow does not have: .*MatMuk"):
        converted(tmp_path / "model", tmp_path / "out.onnx")
