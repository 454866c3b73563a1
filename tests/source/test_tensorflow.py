"""SavedModels of both generations, frozen graphs, checkpoints and Keras files, written here by TensorFlow itself."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import (
    InputError,
    ModelFormatError,
    OnepassWarning,
    OnnxGraph,
    OutputNameError,
    ParityError,
    UnsupportedModelError,
)
from tests.source.networks import converted, needs

needs("tensorflow", "tf2onnx", "keras")
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

# Their own deprecations are not ours to mend.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("in_this_process")]
_v1 = tf.compat.v1
_HEADS = ("boxes", "masks", "score")


# ---- Keras -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_heads() -> keras.Model:
    """A convolutional network with three heads, in an order that is not the alphabet's."""
    keras.utils.set_random_seed(0)
    image = keras.Input((24, 32, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear")(keras.layers.MaxPooling2D(2)(x))
    score = keras.layers.Dense(1, activation="sigmoid", name="score")(keras.layers.GlobalAveragePooling2D()(x))
    masks = keras.layers.Conv2D(2, 1, name="masks")(x)
    boxes = keras.layers.Dense(4, name="boxes")(keras.layers.Flatten()(keras.layers.MaxPooling2D(8)(x)))
    return keras.Model(image, [score, masks, boxes])


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_keras_file(three_heads: keras.Model, ending: str, tmp_path: Path) -> None:
    """Outputs have the names and the order that the model itself uses, whatever the batch."""
    three_heads.save(tmp_path / f"model{ending}")
    result = converted(tmp_path / f"model{ending}", tmp_path / "out.onnx")
    assert result.framework.startswith("Keras 3")
    assert [(spec.name, spec.shape) for spec in result.signature.inputs] == [("image", ("N", 24, 32, 3))]
    assert [(spec.name, spec.shape) for spec in result.signature.outputs] == [
        ("score", ("N", 1)), ("masks", ("N", 24, 32, 2)), ("boxes", ("N", 4))
    ]  # fmt: skip
    image = np.random.default_rng(1).standard_normal((5, 24, 32, 3)).astype(np.float32)
    with onepass.load(tmp_path / "out.onnx") as session:
        outputs = session(image=image)
    for name, expected in zip(("score", "masks", "boxes"), three_heads(image), strict=True):
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)


def test_other_keras_models(tmp_path: Path) -> None:
    """A dictionary's keys name outputs, also deep down; in lists it is layers, whose several outputs are numbered."""
    keras.utils.set_random_seed(0)
    word = keras.Input((4, 3), name="word")
    steps, *state = keras.layers.LSTM(5, return_sequences=True, return_state=True, name="memory")(word)
    last = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="last")])
    for model, names in (
        (keras.Model(word, {"steps": steps, "state": state[0]}), ("steps", "state")),
        (keras.Model(word, [steps, *state]), ("memory.0", "memory.1", "memory.2")),
        (last, ("last",)),
        (keras.Model(word, {"head": steps, "more": [state[0], state[1]]}), ("head", "more.0", "more.1")),
        (keras.Model(word, {"more": {"b": steps, "a": state[0]}}), ("more.b", "more.a")),
        (keras.Model(word, [steps, {"state": state[1]}]), ("output.0", "output.1.state")),
    ):
        model.save(tmp_path / "model.keras")
        result = converted(tmp_path / "model.keras", tmp_path / "out.onnx")
        assert result.signature.output_names == names
    keras.Sequential([keras.layers.Dense(2)]).save(tmp_path / "new.keras")
    with pytest.raises(UnsupportedModelError, match="does not contain the shapes of its inputs"):
        converted(tmp_path / "new.keras", tmp_path / "out.onnx")


def test_saved_model_of_tensorflow_2(three_heads: keras.Model, tmp_path: Path) -> None:
    """Named outputs of a signature keep their names, channels come first where asked, one image at a time."""
    serve = tf.function(
        lambda image: dict(zip(("score", "masks", "boxes"), three_heads(image, training=False), strict=True)),
        input_signature=[tf.TensorSpec([None, 24, 32, 3], tf.float32, "image")],
    )
    tf.saved_model.save(three_heads, tmp_path / "model", signatures={"serving_default": serve})
    result = converted(tmp_path / "model", tmp_path / "out.onnx", batch=1, channels_first=["image", "masks"])
    assert result.signature.output_names == _HEADS
    assert result.signature.inputs[0].shape == (1, 3, 24, 32)
    assert result.signature.outputs[1].shape == (1, 2, 24, 32)
    kinds = [node.op_type for node in OnnxGraph.load(tmp_path / "out.onnx").proto.graph.node]
    assert kinds.count("Transpose") <= 1  # before Flatten, whose order is that of channels last


def test_inputs_given_back_by_tensorflow_2(tmp_path: Path) -> None:
    """An output that is an input is that input; one that only has its name gets another."""
    model = tf.Module()
    model.call = tf.function(lambda x, y: {"x": x, "y": y * 2, "z": x + y},
                             input_signature=[tf.TensorSpec([None, 3], tf.float32, name) for name in "xy"])  # fmt: skip
    tf.saved_model.save(model, str(tmp_path / "model"), signatures=model.call)
    result = converted(tmp_path / "model", tmp_path / "out.onnx")
    assert result.signature.input_names == ("x", "y")
    assert result.signature.output_names == ("x", "y_out", "z")
    assert result.errors[0].max_abs == 0


def test_keras_models_that_cannot_be_opened(tmp_path: Path) -> None:
    """A damaged file, and one with a layer written in Python, say what to do."""
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ModelFormatError, match=r"cut\.h5 is damaged or truncated"):
        converted(tmp_path / "cut.h5", tmp_path / "out.onnx")

    class Doubled(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2

    model = keras.Sequential([keras.Input((3,)), Doubled()])
    model.save(tmp_path / "own.keras")
    with pytest.raises(UnsupportedModelError, match=r"cannot load .*own\.keras.*custom layers written in Python"):
        converted(tmp_path / "own.keras", tmp_path / "out.onnx")


# ---- TensorFlow 1 ------------------------------------------------------------------------------------------------


class _Trainer:
    """A network as GazeML has them: read from a queue, BatchNorm in a tf.cond, a picture of bytes among the outputs."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.graph = tf.Graph()
        with self.graph.as_default():
            queue = _v1.FIFOQueue(8, [tf.float32, tf.int64], [[6, 5, 1], []])
            self.eye, self.index = queue.dequeue_many(2)
            training = _v1.placeholder(tf.bool, [], name="is_training")
            kernel = _v1.get_variable(
                "kernel", initializer=rng.standard_normal((3, 3, 1, 4)).astype(np.float32), use_resource=False
            )
            mean = _v1.get_variable("mean", initializer=np.full(4, 0.3, np.float32), use_resource=False)
            x = tf.nn.conv2d(self.eye, kernel, 1, "SAME")
            x = _v1.cond(training, lambda: x - _moved(mean, tf.reduce_mean(x, [0, 1, 2])), lambda: x - mean)
            x = _v1.image.resize_bilinear(x, [9, 9], align_corners=True, name="larger")
            self.heat = tf.identity(x, name="heat")
            self.picture = tf.cast(tf.clip_by_value(x * 40 + 128, 0, 255), tf.uint8, name="picture")
            self.session = _v1.Session()
            self.session.run(_v1.global_variables_initializer())

    @property
    def inputs(self) -> dict[str, Any]:
        """What a signature calls inputs."""
        return {"eye": self.eye, "index": self.index}

    @property
    def outputs(self) -> dict[str, Any]:
        """What a signature calls outputs: one is an input, one has an input's name and is another."""
        return {"heat": self.heat, "picture": self.picture, "index": self.index, "eye": tf.identity(self.eye * 2)}


def _moved(mean: Any, seen: Any) -> Any:
    with tf.control_dependencies([_v1.assign_sub(mean, (mean - seen) * 0.1)]):
        return tf.identity(mean)


@pytest.fixture(scope="module")
def trainer() -> _Trainer:
    """One for all tests of this file, with conditions as TensorFlow 1 writes them."""
    _v1.disable_control_flow_v2()
    try:
        return _Trainer()
    finally:
        _v1.enable_control_flow_v2()


def _save(trainer: _Trainer, folder: Path, *, tags: tuple[str, ...] = ("serve",), **signatures: Any) -> Path:
    with trainer.graph.as_default():
        builder = _v1.saved_model.Builder(str(folder))
        made = {
            name: _v1.saved_model.predict_signature_def(inputs=trainer.inputs, outputs=outputs)
            for name, outputs in (signatures or {"serving_default": trainer.outputs}).items()
        }
        builder.add_meta_graph_and_variables(trainer.session, list(tags), signature_def_map=made)
        builder.save()
    return folder


def test_saved_model_of_tensorflow_1(trainer: _Trainer, tmp_path: Path) -> None:
    """Queue-fed inputs, variables by reference, tf.cond, bytes: converted as they are, nothing edited."""
    result = converted(_save(trainer, tmp_path / "model"), tmp_path / "out.onnx")
    assert [(spec.name, spec.shape) for spec in result.signature.inputs] == [("eye", (2, 6, 5, 1)), ("index", (2,))]
    assert [(spec.name, spec.dtype.name, spec.shape) for spec in result.signature.outputs] == [
        ("eye_out", "float32", (2, 6, 5, 1)),
        ("heat", "float32", (2, 9, 9, 4)),
        ("index", "int64", (2,)),
        ("picture", "uint8", (2, 9, 9, 4)),
    ]
    assert {error.name: error.max_abs for error in result.errors}["index"] == 0
    kinds = {node.op_type for node in OnnxGraph.load(tmp_path / "out.onnx").proto.graph.node}
    assert not kinds & {"If", "Switch", "Merge"}  # nothing of training is left


def test_signatures_and_tags(trainer: _Trainer, tmp_path: Path) -> None:
    """A model with several says which there are; the one chosen decides the outputs."""
    folder = _save(trainer, tmp_path / "model", heat={"heat": trainer.heat}, picture={"picture": trainer.picture})
    target = tmp_path / "out.onnx"
    with pytest.raises(InputError, match=r"(?s)no signature 'serving_default'.*heat\(eye, index\) -> heat.*picture\("):
        converted(folder, target)
    assert converted(folder, target, signature="picture").signature.output_names == ("picture",)
    assert converted(folder / "saved_model.pb", target, signature="heat").signature.output_names == ("heat",)
    with pytest.raises(InputError, match="no graph with the tags 'gpu,serve'; set tag= to one of: serve"):
        converted(folder, target, tag="serve, gpu")
    converted(folder, target, tag="serve", signature="heat", outputs=["larger", "heat"])
    assert OnnxGraph.load(target).signature.output_names == ("larger", "heat")


def test_a_placeholder_that_no_signature_lists(tmp_path: Path) -> None:
    """What else has to be fed, as in many networks with dropout, is named."""
    with tf.Graph().as_default() as graph:
        x, keep = (_v1.placeholder(tf.float32, [None, 3], "x"), _v1.placeholder(tf.float32, [], "keep_prob"))
        y = x * keep
        with _v1.Session(graph=graph) as session:
            _v1.saved_model.simple_save(session, str(tmp_path / "model"), {"x": x}, {"y": y})
    with pytest.raises(UnsupportedModelError, match="keep_prob must be fed as well, but the signature does not"):
        converted(tmp_path / "model", tmp_path / "out.onnx")


def _without_variables(folder: Path) -> None:
    shutil.rmtree(folder / "variables")


def _with_half_the_variables(folder: Path) -> None:
    file = folder / "variables" / "variables.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:20])


def _with_half_the_index(folder: Path) -> None:
    (folder / "variables" / "variables.index").write_bytes(b"half")


def _with_half_the_graph(folder: Path) -> None:
    file = folder / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:500])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_variables, r"the weights of .* are missing \(variables/variables\.index\)"),
        (_with_half_the_variables, "is damaged or incomplete"),
        (_with_half_the_index, "is damaged or incomplete"),
        (_with_half_the_graph, r"saved_model\.pb is damaged or truncated"),
    ],
)
def test_damaged_saved_models(trainer: _Trainer, damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """What is missing or damaged is named, and nothing is written."""
    damage(_save(trainer, tmp_path / "model"))
    with pytest.raises(ModelFormatError, match=message):
        converted(tmp_path / "model", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_frozen_graph(trainer: _Trainer, tmp_path: Path) -> None:
    """Inputs are what has to be fed, outputs what nothing reads, or whichever tensors are asked for."""
    frozen = _v1.graph_util.convert_variables_to_constants(
        trainer.session, trainer.graph.as_graph_def(add_shapes=True), ["heat", "picture"]
    )
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    result = converted(tmp_path / "frozen.pb", tmp_path / "out.onnx")
    assert result.signature.output_names == ("heat", "picture")
    assert result.signature.input_names == ("fifo_queue_DequeueMany",)
    result = converted(tmp_path / "frozen.pb", tmp_path / "out.onnx", outputs="Conv2D")
    assert result.signature.output_names == ("Conv2D",)
    with pytest.raises(OutputNameError, match=r"no output 'heet'\. Did you mean 'heat'"):
        converted(tmp_path / "frozen.pb", tmp_path / "out.onnx", outputs="heet")
    for node in frozen.node:
        node.attr.pop("_output_shapes", None)
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    with pytest.raises(UnsupportedModelError, match="the rank of its input 'fifo_queue_DequeueMany'"):
        converted(tmp_path / "frozen.pb", tmp_path / "out.onnx")


def test_checkpoint(trainer: _Trainer, tmp_path: Path) -> None:
    """A checkpoint with its graph needs the names of its outputs; without its graph it is no network."""
    with trainer.graph.as_default():
        _v1.train.Saver().save(trainer.session, str(tmp_path / "run" / "model"), global_step=7)
    for source in (tmp_path / "run", tmp_path / "run" / "model-7.meta"):
        result = converted(source, tmp_path / "out.onnx", outputs=["heat"])
        assert result.signature.output_names == ("heat",)
    with pytest.raises(InputError, match="a training graph, which does not declare its outputs"):
        converted(tmp_path / "run", tmp_path / "out.onnx")
    (tmp_path / "run" / "model-7.meta").unlink()
    with pytest.raises(ModelFormatError, match="a checkpoint without one has weights, but not their network"):
        converted(tmp_path / "run", tmp_path / "out.onnx", outputs=["heat"])


# ---- what is wrong without a word --------------------------------------------------------------------------------


def test_opset_that_loses_align_corners(trainer: _Trainer, tmp_path: Path) -> None:
    """Opset 7 cannot say align_corners, and the exporter does not say so: only parity does."""
    folder = _save(trainer, tmp_path / "model", serving_default={"heat": trainer.heat})
    with pytest.raises(
        ParityError, match=r"output 'heat' differs by .* opset 7 cannot express .* use opset 11 or later"
    ):
        converted(folder, tmp_path / "out.onnx", opset=7)
    assert not (tmp_path / "out.onnx").exists()
    converted(folder, tmp_path / "out.onnx", opset=7, verify=False)
    assert OnnxGraph.load(tmp_path / "out.onnx").metadata["onepass.verified"] == "not verified"


def test_operator_without_a_form_in_onnx(tmp_path: Path) -> None:
    """The operator is named."""
    model = tf.Module()
    model.call = tf.function(lambda x: {"y": tf.raw_ops.Betainc(a=x, b=x, x=x)},
                             input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])  # fmt: skip
    tf.saved_model.save(model, str(tmp_path / "model"), signatures=model.call)
    with pytest.raises(UnsupportedModelError, match=r"cannot translate these operators to ONNX .*: Betainc"):
        converted(tmp_path / "model", tmp_path / "out.onnx")


def test_lookup_table(tmp_path: Path) -> None:
    """A resource that is no variable is named."""
    model = tf.Module()
    pairs = tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), tf.constant([3, 4], tf.int64))
    model.table = tf.lookup.StaticHashTable(pairs, 0)
    model.call = tf.function(lambda x: {"y": model.table.lookup(x)},
                             input_signature=[tf.TensorSpec([None], tf.int64, "x")])  # fmt: skip
    tf.saved_model.save(model, str(tmp_path / "model"), signatures=model.call)
    with pytest.raises(UnsupportedModelError, match="reads resources other than variables"):
        converted(tmp_path / "model", tmp_path / "out.onnx")


def test_strings(tmp_path: Path) -> None:
    """Strings beside numbers are left out with a warning; asked for, or alone, they are refused by name."""
    model = tf.Module()
    names = tf.constant(["cat", "dog"])
    model.call = tf.function(lambda x: {"label": tf.gather(names, tf.argmax(x, -1)), "score": x * 2},
                             input_signature=[tf.TensorSpec((None, 2), name="x")])  # fmt: skip
    model.text = tf.function(
        lambda x: {"text": tf.strings.as_string(x)}, input_signature=[tf.TensorSpec((2,), name="x")]
    )
    signatures = {"serving_default": model.call, "text": model.text}
    tf.saved_model.save(model, str(tmp_path / "saved"), signatures=signatures)
    with pytest.warns(OnepassWarning, match=r"left out label \(string, which tf2onnx does not translate\)"):
        result = converted(tmp_path / "saved", tmp_path / "out.onnx")
    assert result.signature.output_names == ("score",)
    chosen = converted(tmp_path / "saved", tmp_path / "out.onnx", outputs=["score"])
    assert chosen.signature.output_names == ("score",)
    with pytest.raises(UnsupportedModelError, match=r"'label' is a string.*Other outputs: score"):
        converted(tmp_path / "saved", tmp_path / "out.onnx", outputs=["label"])
    with pytest.raises(UnsupportedModelError, match="'text' is a string, which tf2onnx does not translate"):
        converted(tmp_path / "saved", tmp_path / "out.onnx", signature="text")


def test_batch_that_cannot_be_freed(tmp_path: Path) -> None:
    """A number of items that is written into the network where no Reshape shows it is found by parity."""
    model = tf.Module()
    model.call = tf.function(lambda x: {"y": tf.concat([x, tf.ones([2, 3])], 1)},
                             input_signature=[tf.TensorSpec([2, 3], tf.float32, "x")])  # fmt: skip
    tf.saved_model.save(model, str(tmp_path / "model"), signatures=model.call)
    converted(tmp_path / "model", tmp_path / "out.onnx")
    with pytest.raises((ParityError, ModelFormatError), match=r"batch size is hard-coded|batch of"):
        converted(tmp_path / "model", tmp_path / "out.onnx", batch="dynamic")
