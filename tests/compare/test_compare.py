"""Two models on the same inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import InputError, OnnxGraph, OutputNameError, Session, UnsupportedModelError, load
from onepass._printable import printable
from onepass.compare import Case, compare, edge_cases, folder_cases, random_cases
from onepass.compare.report import comparison_page
from onepass.opening import ModelChoice
from onepass.runtime.fake import FakeBackend
from tests.compare.models import broken_copy, half_copy
from tests.zoo import BY_NAME, ZOO, Animal, model


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_a_model_agrees_with_itself(animal: Animal) -> None:
    """Whatever its edges, a model compared with itself has no difference at all."""
    found = compare(animal.graph, animal.graph, cases=animal.cases)
    assert found.passed
    assert len(found.cases) == len(animal.cases)
    assert all(output.max_abs == 0 for output in found.outputs)
    assert [output.name for output in found.outputs] == list(animal.graph.signature.output_names)
    assert "</html>" in comparison_page(found)


def test_names_in_a_page() -> None:
    """What would turn the direction of a name, or control a terminal, is shown in the report; markup is text."""
    graph = model("(float[N] x) => (float[N] y) { y = Abs (x) }").rename_outputs({"y": "<b>\x1b[31m\u202ey"})
    page = comparison_page(compare(graph, graph))
    assert "<code>&lt;b&gt;\\x1b[31m\\u202ey</code>" in page
    assert printable(page, lines=True) == page


@pytest.mark.parametrize("name", ["three heads", "32 outputs", "two inputs, one batch", "data-dependent shape"])
def test_random_and_edges(name: str) -> None:
    """Random and edge cases fit any signature with known ranks."""
    graph = BY_NAME[name].graph
    found = compare(graph, graph, random=3, edges=True)
    assert found.cases[:5] == ("zeros", "ones", "minus ones", "tiny", "large")
    assert found.cases[-3:] == ("random 0", "random 1", "random 2")
    assert found.passed


def test_every_zoo_signature_has_edge_cases() -> None:
    """Edge cases are arrays that their model accepts, whatever its dtypes."""
    for animal in ZOO:
        if animal.name not in ("unknown rank", "a loop that shadows an output"):
            with load(animal.graph) as session:
                for case in edge_cases(session.signature):
                    session(case.feeds)


def test_the_broken_output_is_named() -> None:
    """Only the output behind the difference breaks; the message says which, where and by how much."""
    body = (
        "(float[N] x) => (float[N] a, float[N] b)"
        " {{ k = Constant <value_float = {}> () \n a = Mul (x, k) \n b = Abs (x) }}"
    )
    first, second = model(body.format("2.0")), model(body.format("2.5"))
    found = compare(first, second, cases=[{"x": np.array([1, -4], np.float32)}])
    assert found.broken == ("a",)
    a, b = found.outputs
    assert (a.max_abs, a.mean_abs, a.max_rel, a.beyond) == (2, 1.25, 0.25, 2)
    assert str(a.worst) == "-8 vs. -10 at [1] in case 0"
    assert b.passed
    assert "a: BROKEN, max 2, 0.00% within" in str(found)
    assert compare(first, second, random=2, outputs=["b"]).passed
    assert compare(first, second, random=2, atol={"a": 100}).passed


def test_names_that_differ() -> None:
    """Outputs and inputs are paired by name; what is called otherwise is said by names=."""
    first = model("(float[N] x) => (float[N] a, float[N] b) { a = Neg (x) \n b = Abs (x) }")
    second = model("(float[N] image) => (float[N] Identity, float[N] b) { Identity = Neg (image) \n b = Abs (image) }")
    found = compare(first, second)
    assert (found.passed, found.only) == (False, (("a",), ("Identity",)))
    assert found.broken == ("a", "Identity")
    assert "only in" in comparison_page(found).lower()
    paired = compare(first, second, names={"a": "Identity"})
    assert paired.passed
    assert [output.other for output in paired.outputs] == ["Identity", "b"]
    with pytest.raises(OutputNameError, match="no output 'c'"):
        compare(first, second, names={"c": "Identity"})
    with pytest.raises(OutputNameError, match="no output 'c'"):
        compare(first, second, atol={"c": 1})


def test_models_that_share_nothing() -> None:
    """Models without a common output, or with an input that nobody feeds, are told apart before anything runs."""
    one = model("(float[N] x) => (float[N] y) { y = Abs (x) }")
    other = model("(float[N] x) => (float[N] z) { z = Abs (x) }")
    with pytest.raises(InputError, match=r"have no output name in common: y and z\. Pair the outputs with"):
        compare(one, other)
    two = model("(float[N] x, float[N] w) => (float[N] y) { y = Add (x, w) }")
    with pytest.raises(InputError, match="input 'w' does not exist in the first, which has the inputs x"):
        compare(one, two)
    with pytest.raises(InputError, match="no inputs to compare the models on"):
        compare(one, one, random=0)
    fixed = model("(float[3] x) => (float[3] y) { y = Abs (x) }")
    with pytest.raises(InputError, match=r"rejects case case 0 \(x \[2\]\)"):
        compare(one, fixed, cases=[{"x": np.zeros(2, np.float32)}])


def test_inputs_of_another_dtype_are_cast() -> None:
    """A float16 model is fed the float32 model's inputs, and the comparison says so."""
    one = model("(float[N] x) => (float[N] y) { y = Abs (x) }")
    other = model("(float16[N] x) => (float16[N] y) { y = Abs (x) }")
    found = compare(one, other)
    assert found.passed
    assert found.notes == (
        "input x: cast from float32 to float16 for the second model",
        "output y: float32 in the first model, float16 in the second",
    )


def test_sessions_stay_open() -> None:
    """A session that is given is used as it is, and not closed."""
    animal = BY_NAME["three heads"]
    with load(animal.graph) as session:
        fake = Session(FakeBackend(session.signature, animal.reference))
        assert compare(session, fake, cases=animal.cases).passed
        assert not session.closed
        assert not fake.closed


def test_what_is_no_model_yet(tmp_path: Path) -> None:
    """A format that cannot be converted either is told by its name; tests/cli/test_convert.py has those that can."""
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04}.")
    with pytest.raises(UnsupportedModelError, match="is a Python pickle"):
        compare(tmp_path / "model.pkl", BY_NAME["three heads"].graph)


def test_cases_from_a_folder(tmp_path: Path) -> None:
    """Each .npz is a case named after its file."""
    for name in ("b", "a"):
        np.savez(tmp_path / f"{name}.npz", x=np.ones(2, np.float32))
    assert [case.name for case in folder_cases(tmp_path)] == ["a.npz", "b.npz"]
    assert repr(next(folder_cases(tmp_path))) == "Case(a.npz: x=float32[2])"
    (tmp_path / "c.npz").write_bytes(b"no")
    with pytest.raises(InputError, match=r"c\.npz is not a NumPy file"):
        list(folder_cases(tmp_path))
    with pytest.raises(InputError, match=r"no \.npz file in"):
        list(folder_cases(tmp_path / "none"))


def test_the_same_seed_is_the_same_case() -> None:
    """Random cases are the same in every run."""
    signature = BY_NAME["two inputs, one batch"].graph.signature
    first, again = (list(random_cases(signature, 2, seed=3, sizes={"N": 2})) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert one.name == other.name
        for name, array in one.feeds.items():
            np.testing.assert_array_equal(array, other.feeds[name])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("m.onnx", ("m.onnx", None, None)),
        ("m.onnx@cuda", ("m.onnx", "cuda", None)),
        ("m.onnx@threads=4", ("m.onnx", None, 4)),
        ("a@b.onnx@cuda,threads=2", ("a@b.onnx", "cuda", 2)),
    ],
)
def test_model_words(word: str, expected: tuple[Any, ...]) -> None:
    """A model on the command line may say how it is to be opened."""
    choice = ModelChoice.parse(word)
    assert (choice.model, choice.provider, choice.threads) == expected
    assert str(choice) == word


def test_model_words_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is refused; a file whose own name has an at sign is that file."""
    with pytest.raises(InputError, match="unknown option 'thread=4'"):
        ModelChoice.parse("m.onnx@thread=4")
    with pytest.raises(InputError, match="threads must be a whole number"):
        ModelChoice.parse("m.onnx@threads=0")
    monkeypatch.chdir(tmp_path)
    Path("m@cuda").touch()
    assert ModelChoice.parse("m@cuda").model == "m@cuda"


def test_half_and_broken_are_seen(small_elg: OnnxGraph) -> None:
    """The bundled network in half precision is near, a copy with one weight changed is not."""
    half = compare(small_elg, half_copy(small_elg), random=2, atol={"heatmaps": 0.01, "": 0.2})
    assert half.passed
    assert all(output.max_abs > 0 for output in half.outputs)
    weight = next(each.name for each in small_elg.proto.graph.initializer if len(each.dims) == 4)
    bad = compare(small_elg, broken_copy(small_elg, weight), random=2, atol={"heatmaps": 0.01, "": 0.2})
    assert set(bad.broken) >= {"heatmaps", "landmarks"}
    assert Case("x", {}).name == "x"


def test_strings_are_equal_or_not() -> None:
    """Strings are compared as they are, whatever tolerance is given; the worst is shown as it is."""
    first = BY_NAME["class labels beside numbers"]
    other = OnnxGraph.from_bytes(first.graph.to_bytes().replace(b"owl", b"elk"))
    assert compare(first.graph, first.graph, cases=first.cases).passed
    found = compare(first.graph, other, cases=[{"x": np.eye(3, dtype=np.float32)}], atol=5)
    assert found.broken == ("label",)
    label = found.outputs[0]
    assert (label.dtypes, label.beyond, label.count, label.infs) == (("string", "string"), 1, 3, (0, 0))
    assert "'owl' vs. 'elk' at [2]" in str(label.worst)
    numbers = model("(float[N, 3] x) => (int64[N] label) { label = ArgMax <axis = 1, keepdims = 0> (x) }")
    found = compare(first.graph, numbers, cases=first.cases, outputs=["label"])
    assert "string vs. int64: only one of them holds strings" in found.outputs[0].complaint
