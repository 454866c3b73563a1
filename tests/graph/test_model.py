"""OnnxGraph: load, look, select, rename, expose, clean, save."""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import EncodeError
from hypothesis import given
from hypothesis import strategies as st

from onepass import (
    InputError,
    ModelFormatError,
    ModelNotFoundError,
    OnnxGraph,
    OutputNameError,
    UnsupportedModelError,
    convert,
    load,
)
from onepass.graph.weights import message_bytes
from tests.checker import assert_same
from tests.zoo import BY_NAME, ZOO, Animal, model, sequence_model

animals = pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
THREE = BY_NAME["three heads"]


def _with_weights(size: int = 600, seed: int = 0) -> OnnxGraph:
    """Return a model with two weights that are worth a file of their own."""
    rng = np.random.default_rng(seed)
    shape = f"float[N, {size}]"
    graph = model(f"({shape} x) => ({shape} y, {shape} z) {{ y = Add (x, x) \n z = Mul (x, x) }}")
    for node, name in zip(graph.proto.graph.node, "ab", strict=True):
        node.input[1] = name
        weight = rng.standard_normal(size).astype(np.float32)
        graph.proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    graph.check()
    return graph


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """Return the path of a model whose weights lie in a file beside it."""
    folder = tmp_path / "with weights"
    folder.mkdir()
    onnx.save_model(
        _with_weights().proto, folder / "model.onnx", save_as_external_data=True, location="w.data", size_threshold=0
    )
    return folder / "model.onnx"


@animals
def test_signature_agrees_with_onnxruntime(animal: Animal) -> None:
    """Read off the graph, names and order of inputs and outputs are those that the runtime has."""
    import onnxruntime

    raw = onnxruntime.InferenceSession(animal.graph.to_bytes(), providers=["CPUExecutionProvider"])
    assert list(animal.graph.signature.input_names) == [node.name for node in raw.get_inputs()]
    assert list(animal.graph.signature.output_names) == list(dict.fromkeys(node.name for node in raw.get_outputs()))


@animals
def test_signature_is_the_same_from_file_and_from_graph(animal: Animal, tmp_path: Path) -> None:
    """Dtypes and shapes, dynamic names and unknown ranks are the same however the model was opened."""
    animal.graph.save(tmp_path / "model.onnx")
    graph = OnnxGraph.load(tmp_path / "model.onnx")
    assert graph.signature == animal.graph.signature
    with load(tmp_path / "model.onnx") as from_file, load(graph) as from_graph, load(graph.to_bytes()) as from_bytes:
        assert from_file.signature.inputs == graph.signature.inputs
        assert from_file.signature == from_graph.signature == from_bytes.signature


def test_initializers_are_not_inputs() -> None:
    """Old models list their weights among the inputs; those are no inputs of a call."""
    graph = _with_weights()
    graph.proto.graph.input.append(onnx.helper.make_tensor_value_info("a", 1, [600]))
    assert graph.signature.input_names == ("x",)


def test_minus_one_is_dynamic() -> None:
    """A size of -1, which some exporters write, is a nameless dynamic dimension."""
    graph = model("(float[N] x) => (float[N] y) { y = Abs (x) }")
    graph.proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert graph.signature.inputs[0].shape == (None,)


def test_what_is_no_dense_tensor_is_left_out() -> None:
    """A sequence beside tensors is named and left out; asked for, or alone, it is refused; as an input too."""
    graph = sequence_model()
    assert graph.signature.output_names == ("y", "z")
    assert graph.signature.left_out == {"s": "sequence"}
    assert str(graph.signature).endswith("  z: float32 [N]\n  s: sequence, left out")
    with pytest.raises(UnsupportedModelError, match=r"'s' is a sequence.*Other outputs: y, z"):
        graph.signature.ordered_outputs(["y", "s"])
    with pytest.raises(UnsupportedModelError, match=r"'s' is a sequence; onepass supports only dense tensors"):
        _ = graph.select("s").signature
    taken = model("(seq(float[N]) s) => (float[N] y) { i = Constant <value_int = 0> () \n y = SequenceAt (s, i) }")
    with pytest.raises(UnsupportedModelError, match=r"'s' is a sequence"):
        _ = taken.signature


@pytest.mark.parametrize("mark", ["?", "-1", "*", "None", "unk", "unk__7", "UNKNOWN", "", " ", "??", "dynamic"])
def test_false_names_are_no_names(mark: str) -> None:
    """What exporters write for every size that they do not know is no name: two of them may differ."""
    graph = model("(float[N, M] x) => (float[N, M] y) { y = Abs (x) }")
    for dim in graph.proto.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = mark
    assert graph.signature.inputs[0].shape == (None, None)
    assert str(graph.signature.inputs[0]) == "float32 [?, ?]"


@pytest.mark.parametrize("name", ["N", "batch", "unknown_dims", "unk_batch", "none_of_these", "x?", "dynamic_axis"])
def test_names_are_names(name: str) -> None:
    """A name that only looks like one of those is kept."""
    graph = model("(float[N] x) => (float[N] y) { y = Abs (x) }")
    graph.proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = name
    assert graph.signature.inputs[0].shape == (name,)


def _declared(change: Callable[[Any], Any]) -> OnnxGraph:
    """Return a model, of whose first output something else is declared."""
    graph = model("(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) { y = Neg (x) \n z = Abs (x) }")
    change(graph.proto.graph.output[0].type)
    return graph


_DECLARED: dict[str, Callable[[Any], Any]] = {
    "no type": lambda kind: kind.Clear(),
    "no shape": lambda kind: kind.tensor_type.ClearField("shape"),
    "another size": lambda kind: setattr(kind.tensor_type.shape.dim[1], "dim_value", 5),
    "a fixed batch": lambda kind: setattr(kind.tensor_type.shape.dim[0], "dim_value", 1),
    "a scalar": lambda kind: kind.tensor_type.shape.ClearField("dim"),
    "less rank": lambda kind: kind.tensor_type.shape.dim.pop(),
    "more rank": lambda kind: setattr(kind.tensor_type.shape.dim.add(), "dim_value", 1),
}


@pytest.mark.parametrize("change", _DECLARED.values(), ids=_DECLARED)
def test_outputs_that_are_declared_wrong(change: Callable[[Any], Any], tmp_path: Path) -> None:
    """An output without a type or shape, or with another one, runs, into given arrays too, and converts as it is."""
    graph = _declared(change)
    graph.save(tmp_path / "m.onnx")
    x = np.ones((3, 4), np.float32)
    for source in (graph, tmp_path / "m.onnx"):
        with load(source) as session:
            outputs = session(x)
            assert (list(outputs), outputs.y.shape) == (["y", "z"], (3, 4))
            assert all(spec.shape != () for spec in session.signature.outputs)
    assert [str(spec) for spec in graph.with_true_outputs().signature.outputs] == ["float32 [N, 4]"] * 2
    converted = convert(tmp_path / "m.onnx", tmp_path / "new.onnx")
    assert [str(spec) for spec in converted.signature.outputs] == ["float32 [N, 4]"] * 2


def test_what_is_declared_better_than_inferred_stays() -> None:
    """A size that ONNX cannot infer stays as declared, and so do names; a sound model is given back itself."""
    graph = model(
        "(float[N, K] x, int64[2] s) => (float[M, 4] y, float[rows, K] z) { y = Reshape (x, s) \n z = Abs (x) }"
    )
    assert graph.with_true_outputs() is graph


def test_parameters_of_constants_and_branches() -> None:
    """What is in Constant nodes and in branches counts like weights."""
    graph = model("""(bool flag, float[2] x) => (float[2] y) <float[3] unused = {1, 2, 3}> {
        c = Constant <value = float[2] {1, 2}> ()
        h = Add (x, c)
        y = If (flag) <
            then_branch = yes () => (float[2] t) <float[2] w = {3, 4}> { t = Mul (h, w) },
            else_branch = no () => (float[2] e) { d = Constant <value = float[1] {5}> () \n e = Add (h, d) }
        >
    }""")
    assert graph.parameter_count == 3 + 2 + 2 + 1


def test_facts() -> None:
    """Opset, number of parameters, metadata."""
    graph = _with_weights()
    onnx.helper.set_model_props(graph.proto, {"author": "me"})
    assert (graph.opset, graph.parameter_count, graph.metadata) == (17, 1200, {"author": "me"})
    assert repr(graph) == "OnnxGraph(2 nodes -> y, z)"


# ---- select ------------------------------------------------------------------------------------------------------


@animals
def test_select_each_output(animal: Animal) -> None:
    """Each output alone computes what it did, from no more inputs than it needs, and the source stays as it was."""
    before = animal.graph.to_bytes()
    for name in animal.reference(animal.cases[0]):
        part = animal.graph.select([name])
        if animal.strict:
            part.check()
        assert part.signature.output_names == (name,)
        with load(part) as session:
            for case in animal.cases:
                feeds = {key: case[key] for key in part.signature.input_names}
                assert_same(session(feeds), {name: animal.reference(case)[name]})
    assert animal.graph.to_bytes() == before


@given(st.permutations(["zebra", "ant", "monkey"]), st.integers(1, 3))
def test_select_keeps_the_asked_order(order: list[str], count: int) -> None:
    """Selected outputs come in the order asked for."""
    assert list(THREE.graph.select(order[:count]).signature.output_names) == order[:count]


def test_select_drops_what_is_not_needed() -> None:
    """Nodes, weights and inputs of the other outputs are gone."""
    part = _with_weights().select(["z"])
    assert [tensor.name for tensor in part.proto.graph.initializer] == ["b"]
    assert [node.op_type for node in part.proto.graph.node] == ["Mul"]
    part = BY_NAME["outputs that are inputs"].graph.select(["y"])
    assert part.signature.input_names == ("x",)


def test_select_keeps_functions_and_metadata() -> None:
    """What belongs to the model as a whole travels along."""
    graph = _with_weights()
    onnx.helper.set_model_props(graph.proto, {"author": "me"})
    part = graph.select(["y"])
    assert part.metadata == {"author": "me"}
    assert part.proto.ir_version == graph.proto.ir_version


def test_select_unknown() -> None:
    """An output that is not there is told with those that are."""
    with pytest.raises(OutputNameError, match=r"no output 'ants'. Did you mean 'ant'"):
        THREE.graph.select(["ants"])


# ---- rename ------------------------------------------------------------------------------------------------------


@animals
def test_rename_every_output(animal: Animal) -> None:
    """All outputs under new names compute what they did; inputs keep their names, even if they are outputs."""
    names = {name: f"new_{i}" for i, name in enumerate(animal.graph.signature.output_names)}
    renamed = animal.graph.rename_outputs(names)
    if animal.strict:
        renamed.check()
    assert renamed.signature.input_names == animal.graph.signature.input_names
    with load(renamed) as session:
        for case in animal.cases:
            assert_same(session(case), {names[name]: array for name, array in animal.reference(case).items()})


def test_rename_may_swap() -> None:
    """Two outputs may take each other's names."""
    case = THREE.cases[1]
    expected = dict(THREE.reference(case))
    with load(THREE.graph.rename_outputs({"zebra": "monkey", "monkey": "zebra"})) as session:
        outputs = session(case)
    np.testing.assert_array_equal(outputs["zebra"], expected["monkey"])
    np.testing.assert_array_equal(outputs["monkey"], expected["zebra"])


@pytest.mark.parametrize("names", [{"zebra": "ant"}, {"zebra": "x"}, {"zebra": "n", "ant": "n"}, {"zebra": ""}])
def test_rename_to_a_taken_name(names: dict[str, str]) -> None:
    """A new name that another tensor has, and an empty one, are refused."""
    with pytest.raises(InputError, match="is empty or another tensor has it"):
        THREE.graph.rename_outputs(names)


def test_rename_leaves_inner_graphs_alone() -> None:
    """A name that an inner graph reads from outside, or defines anew, means there what it meant."""
    animal = BY_NAME["a loop that shadows an output"]
    renamed = animal.graph.rename_outputs({"v": "w", "y": "z"})
    renamed.check()
    assert "u" not in renamed.signature.output_names
    with load(renamed) as session:
        for case in animal.cases:
            assert_same(session(case), dict(zip(("z", "w"), animal.reference(case).values(), strict=True)))
    with pytest.raises(InputError, match="another tensor has it"):
        animal.graph.rename_outputs({"v": "inner"})


def test_rename_unknown() -> None:
    """An output that is not there cannot be renamed."""
    with pytest.raises(OutputNameError, match="no output 'x'"):
        THREE.graph.rename_outputs({"x": "y"})


# ---- expose ------------------------------------------------------------------------------------------------------


def test_expose_inner_tensors() -> None:
    """Inner tensors, and inputs, become outputs after those there are."""
    graph = model("(float[N] x) => (float[N] y) { h = Neg (x) \n g = Cast <to = 7> (h) \n y = Abs (h) }")
    exposed = graph.expose(["g", "h", "y", "x"])
    exposed.check()
    assert exposed.signature.output_names == ("y", "g", "h", "x")
    x = np.array([1, -2], np.float32)
    with load(exposed) as session:
        assert_same(session(x), {"y": np.abs(x), "g": -x.astype(np.int64), "h": -x, "x": x})


def test_expose_everything() -> None:
    """Every tensor that the model lists can be exposed."""
    graph = BY_NAME["a branch that reads the outer graph"].graph
    exposed = graph.expose(graph.tensor_names)
    exposed.check()
    assert set(exposed.signature.output_names) == {"y", "z", "h", "flag", "x"}


def test_one_name_is_one_name() -> None:
    """A single name, or a generator of names, will do where names are taken; none at all will not."""
    graph = model("(float[N] x) => (float[N] y) { hidden = Neg (x) \n y = Abs (hidden) }")
    assert graph.expose("hidden").signature.output_names == ("y", "hidden")
    assert THREE.graph.select("ant").signature.output_names == ("ant",)
    assert THREE.graph.select(name for name in ("ant", "zebra")).signature.output_names == ("ant", "zebra")
    with pytest.raises(InputError, match="needs at least one output; the model has zebra, ant, monkey"):
        THREE.graph.select([])


def test_expose_what_cannot_be_moved() -> None:
    """A sequence does not become an output."""
    graph = model("(float[N] x) => (float[N] y) { s = SequenceConstruct (x) \n i = Constant <value_int = 0> ()"
                  " \n y = SequenceAt (s, i) }")  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="'s' is a sequence"):
        graph.expose(["s"])


def test_expose_unknown() -> None:
    """A tensor that the graph does not compute is refused."""
    with pytest.raises(OutputNameError, match=r"no tensor 'hidden'. Its tensors are: x, ant"):
        THREE.graph.expose(["hidden"])


def test_expose_without_a_type() -> None:
    """A tensor after an operator that ONNX does not know has no type to declare."""
    graph = OnnxGraph(onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17, "mine" : 1]> g (float[N] x) => (float[N] y)'
        " { h = mine.Op (x) \n y = mine.Op (h) }"
    ))  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="'h' cannot become an output"):
        graph.expose(["h"])


# ---- load, save, external weights --------------------------------------------------------------------------------


def test_clean_with_external_weights(external: Path) -> None:
    """External weights that cleaning does not change stay where they are."""
    cleaned = OnnxGraph.load(external).clean()
    assert cleaned.weight_files == ("w.data",)
    x = np.ones((1, 600), np.float32)
    with load(cleaned) as ours, load(_with_weights()) as reference:
        assert_same(ours(x), reference(x))


def test_external_weights_are_not_read(external: Path) -> None:
    """Loading leaves external weights in their file, and the model runs from there."""
    graph = OnnxGraph.load(external)
    assert graph.weight_files == ("w.data",)
    assert graph.proto.ByteSize() < 1000
    graph.check()
    x = np.ones((2, 600), np.float32)
    with load(_with_weights()) as reference:
        expected = reference(x)
    for source in (graph, graph.select(["y", "z"]), external):
        with load(source) as session:
            assert_same(session(x), expected)
            assert_same(session(x, outputs=["z"]), {"z": expected["z"]})


def test_save_elsewhere_takes_the_weights_along(external: Path, tmp_path: Path) -> None:
    """Saved into another folder, the model is complete there, with one file of weights."""
    target = tmp_path / "other"
    target.mkdir()
    OnnxGraph.load(external).save(target / "copy.onnx")
    assert len(list(target.iterdir())) == 2
    (name,) = OnnxGraph.load(target / "copy.onnx").weight_files
    digest = hashlib.sha256((target / name).read_bytes()).hexdigest()
    assert name == f"copy.onnx.{digest[:16]}.data"
    (external.parent / "w.data").unlink()
    x = np.ones((2, 600), np.float32)
    with load(target / "copy.onnx") as session, load(_with_weights()) as reference:
        assert_same(session(x), reference(x))


def test_weights_that_nothing_points_to_are_removed(external: Path, tmp_path: Path) -> None:
    """Other weights under the same name take the place of the former, unless another model there has these."""
    target = tmp_path / "target"
    target.mkdir()
    OnnxGraph.load(external).save(target / "m.onnx")
    (first,) = target.glob("*.data")
    other = OnnxGraph(_with_weights(seed=1).proto)
    other.save(target / "m.onnx")  # all of it in one file
    assert [file.name for file in target.iterdir()] == ["m.onnx"]
    OnnxGraph.load(external).save(target / "m.onnx")
    OnnxGraph.load(target / "m.onnx").select(["y"]).save(target / "part.onnx")
    (target / "mine.data").touch()
    other.save(target / "m.onnx")
    assert sorted(file.name for file in target.iterdir()) == sorted(["m.onnx", first.name, "mine.data", "part.onnx"])
    with load(target / "part.onnx") as session, load(_with_weights().select(["y"])) as reference:
        x = np.ones((2, 600), np.float32)
        assert_same(session(x), reference(x))


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
def test_save_through_a_link_and_into_a_pipe(external: Path, tmp_path: Path) -> None:
    """Through a link the weights lie beside the file that it leads to; into a pipe goes the model with its weights."""
    (tmp_path / "store").mkdir()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "store" / "real.onnx")
    OnnxGraph.load(external).save(tmp_path / "link.onnx")
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    OnnxGraph.load(external).save(tmp_path / "pipe")
    piped = OnnxGraph.from_bytes(os.read(descriptor, 1 << 20))
    os.close(descriptor)
    assert piped.weight_files == ()
    x = np.ones((2, 600), np.float32)
    with load(_with_weights()) as reference:
        for source in (tmp_path / "link.onnx", tmp_path / "store" / "real.onnx", piped):
            with load(source) as session:
                assert_same(session(x), reference(x))


def test_save_in_place_leaves_the_weights(external: Path) -> None:
    """Saved into the same folder, the weights stay where they are."""
    OnnxGraph.load(external).select(["y"]).save(external.with_name("part.onnx"))
    assert sorted(file.name for file in external.parent.iterdir()) == ["model.onnx", "part.onnx", "w.data"]
    with load(external.with_name("part.onnx")) as session:
        assert session.signature.output_names == ("y",)


def test_missing_truncated_and_escaping_weights(external: Path) -> None:
    """Weights that are not there, not whole, or outside the folder are refused when the model is loaded."""
    data = external.with_name("w.data")
    data.write_bytes(data.read_bytes()[:3000])
    with pytest.raises(ModelFormatError, match=r"truncated: weight 'b' ends at byte"):
        OnnxGraph.load(external)
    data.unlink()
    with pytest.raises(ModelFormatError, match=r"weight 'a' is stored in the file 'w.data', which is not in"):
        OnnxGraph.load(external)
    graph = _with_weights()
    tensor = graph.proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    external.write_bytes(graph.to_bytes())
    with pytest.raises(ModelFormatError, match="outside the model's folder"):
        OnnxGraph.load(external)


@pytest.mark.parametrize(
    ("key", "value"), [("offset", "abc"), ("offset", "-5"), ("location", "a\0b"), ("location", "")]
)
def test_nonsense_places_of_weights(external: Path, key: str, value: str) -> None:
    """A place that is none is refused as part of a damaged model."""
    graph = _with_weights()
    tensor = graph.proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for name, text in {"location": "w.data", "offset": "0", "length": "8", key: value}.items():
        tensor.external_data.add(key=name, value=text)
    external.write_bytes(graph.to_bytes())
    with pytest.raises(ModelFormatError, match="weight 'a' has an invalid external location"):
        OnnxGraph.load(external)


def test_weights_behind_links(external: Path, tmp_path: Path) -> None:
    """Models whose files are links into a store, under names of their content, load like others."""
    store, shown = tmp_path / "blobs", tmp_path / "snapshot"
    store.mkdir()
    shown.mkdir()
    for name, blob in (("model.onnx", "6d6f"), ("w.data", "7764")):
        external.with_name(name).rename(store / blob)
        (shown / name).symlink_to(Path("..", "blobs", blob))
    x = np.ones((2, 600), np.float32)
    with load(_with_weights()) as reference, load(shown / "model.onnx") as session:
        expected = reference(x)
        assert_same(session(x), expected)
        assert_same(session(x, outputs=["z"]), {"z": expected["z"]})
    copy = tmp_path / "copy"
    copy.mkdir()
    OnnxGraph.load(shown / "model.onnx").save(copy / "model.onnx")
    with load(copy / "model.onnx") as session:
        assert_same(session(x), expected)


def test_link_to_a_model(external: Path, tmp_path: Path) -> None:
    """A link to a model finds the weights beside the model itself."""
    (tmp_path / "link.onnx").symlink_to(external)
    graph = OnnxGraph.load(tmp_path / "link.onnx")
    with load(graph) as session:
        assert session(np.ones((2, 600), np.float32)).y.shape == (2, 600)


def test_weights_are_found_from_another_working_directory(external: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph loaded by a relative path still finds its weights after the working directory has changed."""
    monkeypatch.chdir(external.parent)
    graph = OnnxGraph.load("model.onnx")
    monkeypatch.chdir("/")
    with load(graph) as session:
        assert session(np.ones((2, 600), np.float32)).y.shape == (2, 600)


def test_a_failed_save_keeps_the_former_model(external: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full when the second of two files is written, the former model and its weights still stand."""
    target = tmp_path / "target"
    target.mkdir()
    OnnxGraph.load(external).save(target / "model.onnx")
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    other = tmp_path / "other"
    other.mkdir()
    onnx.save_model(
        _with_weights(seed=1).proto, other / "m.onnx", save_as_external_data=True, location="w.data", size_threshold=0
    )
    graph = OnnxGraph.load(other / "m.onnx")

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            graph.save(target / "model.onnx")
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before


def test_models_over_two_gigabytes(tmp_path: Path) -> None:
    """A model with 2.4 GB of weights is loaded, looked at, taken apart and run; only what is touched is read."""
    rows, columns = 600_000, 1000
    with (tmp_path / "big.data").open("wb") as file:
        file.truncate(rows * columns * 4)  # a hole, which takes no place on the disk
        file.seek(7 * columns * 4)
        file.write(np.arange(columns, dtype=np.float32).tobytes())
    graph = model(
        f"(int64[N] i) => (float[N, {columns}] row, int64[N] next)"
        f" <float[1, {columns}] table = {{{', '.join(['0'] * columns)}}}>"
        " { row = Gather (table, i) \n next = Neg (i) }"
    )
    weight = graph.proto.graph.initializer[0]
    weight.dims[:] = [rows, columns]
    weight.ClearField("raw_data")
    weight.ClearField("float_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="big.data")
    (tmp_path / "big.onnx").write_bytes(graph.to_bytes())
    loaded = OnnxGraph.load(tmp_path / "big.onnx")
    assert loaded.parameter_count == rows * columns
    assert loaded.select(["next"]).parameter_count == 0
    with load(tmp_path / "big.onnx", threads=1) as session:
        outputs = session(np.array([7, 0]))
        np.testing.assert_array_equal(outputs["row"][0], np.arange(columns))
        assert not outputs["row"][1].any()


@pytest.mark.parametrize("data", [b"\x08\x09garbage", b"", bytes(100), b"\x3a\x02\x0a\x00"])
def test_bytes_that_are_no_model(data: bytes) -> None:
    """Bytes that are no model are told so."""
    with pytest.raises(ModelFormatError, match="not a valid ONNX model"):
        OnnxGraph.from_bytes(data)


def test_load_errors(tmp_path: Path) -> None:
    """A file that is missing, of another format, or damaged inside has a message of its own."""
    with pytest.raises(ModelNotFoundError):
        OnnxGraph.load(tmp_path / "nothing.onnx")
    (tmp_path / "model.onnx").write_bytes(b"ptrt" + bytes(60))
    with pytest.raises(ModelFormatError, match="is a TensorRT engine, not an ONNX model"):
        OnnxGraph.load(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x09\x3a\x04\xff\xff\xff\xff")
    with pytest.raises(ModelFormatError, match="not a valid ONNX model"):
        OnnxGraph.load(tmp_path / "model.onnx")


def test_check_finds_a_broken_graph() -> None:
    """A graph that reads a tensor nobody computes breaks the specification."""
    graph = model("(float[N] x) => (float[N] y) { y = Abs (x) }")
    graph.proto.graph.node[0].input[0] = "nobody"
    with pytest.raises(ModelFormatError, match="violates the ONNX specification"):
        graph.check()


def test_a_size_that_protobuf_cannot_say() -> None:
    """Over 2 GB protobuf does not say how large a message is; its weights do."""

    def too_large() -> int:
        raise EncodeError("Failed to serialize proto")

    huge: Any = SimpleNamespace(ByteSize=too_large, graph=_with_weights().proto.graph, functions=[])
    assert message_bytes(huge) == 2 * 600 * 4


def test_too_big_for_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model over protobuf's limit has no bytes, but is saved with its weights beside it, and runs."""
    graph: Any = _with_weights()
    monkeypatch.setattr("onepass.graph.model._PROTOBUF_LIMIT_BYTES", 1000)
    monkeypatch.setattr("onepass.runtime.onnxruntime.sessions.LARGE_BYTES", 1000)
    with pytest.raises(UnsupportedModelError, match="2 GB"):
        graph.to_bytes()
    graph.save(tmp_path / "model.onnx")
    (data,) = tmp_path.glob("model.onnx.*.data")
    assert data.stat().st_size >= 4800
    assert (tmp_path / "model.onnx").stat().st_size < 1000
    x = np.ones((2, 600), np.float32)
    with load(tmp_path / "model.onnx") as from_file, load(graph) as from_memory:
        assert_same(from_file(x), from_memory(x))
