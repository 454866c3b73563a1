"""Strings in and out of a model; outputs that are no dense tensors."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onepass import InputError, LeftOutWarning, Outputs, Session, UnsupportedModelError, load
from onepass.runtime.fake import FakeBackend
from onepass.tensors import DTYPES
from onepass.writers import write_outputs
from tests.zoo import model, sequence_model

ECHO = model("(string[N, M] s) => (string[N, M] t) { t = Identity (s) }")
# Lone surrogates have no form in UTF-8, and a NUL at the end none in NumPy's text of fixed width.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@pytest.fixture(scope="module")
def echo() -> Session:
    """A model that gives back the strings it is given."""
    return load(ECHO)


@given(st.lists(st.tuples(texts, texts), max_size=4))
def test_any_text_goes_through(echo: Session, rows: list[tuple[str, str]]) -> None:
    """Whatever the strings, and however many, the same come out, as objects, however they were given."""
    wanted = np.array(rows, object).reshape(len(rows), 2)
    given_as: list[Any] = [wanted, wanted.astype(str), *([rows] if rows else [])]
    if hasattr(np.dtypes, "StringDType"):  # NumPy 2
        given_as.append(wanted.astype(np.dtypes.StringDType()))
    for array in given_as:
        found = echo(array).t
        assert found.dtype == object
        assert found.shape == wanted.shape
        assert found.tolist() == wanted.tolist()


@given(st.lists(any_text, max_size=4))
@example([])
@example(["\0", "a\0\0", ""])
def test_lists_of_text_lose_nothing(rows: list[str]) -> None:
    """A list of strings is taken as it is: an empty one, and NULs at the end, which NumPy would cut off."""
    with load(model("(string[N] s) => (string[N] t) { t = Identity (s) }")) as session:
        assert session(rows).t.tolist() == rows
        assert session(tuple(rows)).t.tolist() == rows


@given(any_text)
def test_one_string(text: str) -> None:
    """A scalar of strings is a string."""
    with load(model("(string s) => (string t) { t = Identity (s) }")) as session:
        assert session(text).t.item() == text
        assert session.signature.outputs[0].shape == ()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([["a", 3]], r"got 3 \(int\) at \[0, 1\]; expected only strings"),
        ([["a", "b"], ["c"]], r"got \['a', 'b'\] \(list\) at \[0\].*nested lists must have equal lengths"),
        ([["a", "\ud800"]], r"at \[0, 1\]; ONNX strings are UTF-8, which cannot encode an unpaired surrogate"),
        (np.array([["a", 3]], object), r"got 3 \(int\) at \[0, 1\]; expected only strings"),
        (np.array([["a", None]], object), r"got None \(NoneType\) at \[0, 1\]"),
        (np.array([[b"a"]], object), r"got b'a' \(bytes\)"),
        (np.array([[b"a"]]), r"got bytes \[1, 1\].* only strings; decode bytes with numpy\.char\.decode\(array\)"),
        (
            np.zeros((1, 2), np.float32),
            r"expected string \[N, M\], got float32 \[1, 2\]\. The input accepts only strings$",
        ),
        ([[1, 2]], r"got 1 \(int\) at \[0, 0\]"),
        (np.array(["a"]), r"expected string \[N, M\], got string \[1\]\. One dimension is missing"),
    ],
)
def test_what_are_no_strings(echo: Session, array: Any, message: str) -> None:
    """What is no string is refused, with its place; nothing is made a string unasked."""
    with pytest.raises(InputError, match=message):
        echo(array)


@pytest.mark.parametrize("dtype", [object, str, "S3"])
def test_strings_for_numbers(dtype: Any) -> None:
    """A model of numbers takes no strings."""
    with (
        load(model("(float[N] x) => (float[N] y) { y = Neg (x) }")) as session,
        pytest.raises(InputError, match="The input accepts only numbers"),
    ):
        session(np.array(["1"], dtype))


def test_strings_among_rare_types() -> None:
    """Strings go in and out beside types that NumPy has no name for; they come out where no strings are given."""
    graph = model("(float[N] x) => (string[N] t, bfloat16[N] y) { t = Cast <to = 8> (x) \n y = Cast <to = 16> (x) }")
    with load(graph) as session:
        outputs = session(x=np.ones(2, np.float32))
        assert outputs.t.tolist() == ["1", "1"]
        assert outputs.y.dtype.name == "bfloat16"
    graph = model("(string[N] s) => (float[N] x, bfloat16[N] y) { x = Cast <to = 1> (s) \n y = Cast <to = 16> (x) }")
    with load(graph) as session:
        with pytest.raises(UnsupportedModelError, match=r"output 'y' is bfloat16 .* strings \('s'\)"):
            session(["1.5"])
        assert session(["1.5"], outputs=["x"]).x.tolist() == [1.5]


@pytest.mark.parametrize("name", [each for each in DTYPES if each.startswith(("bfloat", "float8_e4", "float8_e5"))])
def test_strings_in_beside_rare_types(name: str) -> None:
    """A model takes strings beside bfloat16 or float8, also without rows."""
    kind = name.replace("_", "")
    with load(
        model(
            f"(string[N] s, {kind}[N] x) => (string[N] t, float[N] y) {{ t = Identity (s) \n y = Cast <to = 1> (x) }}",
            opset=19,
        )
    ) as session:
        for numbers in ([1, 4], []):
            texts = [str(each) for each in numbers]
            outputs = session(s=texts, x=np.array(numbers, DTYPES[name]))
            assert outputs.t.tolist() == texts
            assert outputs.y.tolist() == numbers


def test_strings_in_files(tmp_path: Path) -> None:
    """Strings are written so that NumPy reads them without pickle, and JSON as they are; a file can be an input."""
    outputs = Outputs({"label": np.array([["cat"], ["größe 中"]], object), "p": np.ones(2, np.float32)})
    with np.load(write_outputs(outputs, tmp_path / "o.npz")) as arrays:
        assert arrays["label"].tolist() == [["cat"], ["größe 中"]]
    data = json.loads(write_outputs(outputs, tmp_path / "o.json").read_text(encoding="utf-8"))
    assert data["label"] == {"dtype": "string", "shape": [2, 1], "data": [["cat"], ["größe 中"]]}
    write_outputs(outputs, tmp_path / "folder")
    assert np.load(tmp_path / "folder" / "label.npy").tolist() == [["cat"], ["größe 中"]]
    assert repr(outputs) == "Outputs(label=string[2, 1], p=float32[2])"


def test_a_fake_gives_strings() -> None:
    """Without a function, a fake's strings are empty ones."""
    with Session(FakeBackend(ECHO.signature)) as session:
        assert session([["a", "b"]]).t.tolist() == [["", ""]]


# ---- what is no dense tensor -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["graph", "bytes"])
def test_a_sequence_beside_tensors(kind: str) -> None:
    """A sequence is left out with one warning; the other outputs can be had, also those computed after it."""
    graph = sequence_model()
    with pytest.warns(LeftOutWarning, match=r"left out s \(sequence\); onepass supports only dense tensors") as caught:
        session = load(graph if kind == "graph" else graph.to_bytes())
    assert len(caught) == 1
    with session, warnings.catch_warnings():
        assert list(session(np.ones(2, np.float32))) == ["y", "z"]
        assert list(session(np.ones(2, np.float32), outputs=["z"])) == ["z"]
        with pytest.raises(UnsupportedModelError, match=r"'s' is a sequence.*Other outputs: y, z"):
            session(np.ones(2, np.float32), outputs=["s"])


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("(float[N] x) => (seq(float[N]) s) { s = SequenceConstruct (x) }", "s", "a sequence"),
        ("(float[N] x) => (optional(float[N]) o) { o = Optional (x) }", "o", "an optional"),
        ("(seq(float[N]) s) => (float[M] y) { y = ConcatFromSequence <axis = 0> (s) }", "s", "a sequence"),
        ("(optional(float[N]) o) => (bool y) { y = OptionalHasElement (o) }", "o", "an optional"),
        ("(float[N] x) => (int4[N] y) { y = Cast <to = 22> (x) }", "y", "a tensor of int4"),
        ("(uint4[N] x) => (float[N] y) { y = Cast <to = 1> (x) }", "x", "a tensor of uint4"),
    ],
)
def test_nothing_but_such(text: str, name: str, kind: str) -> None:
    """Where nothing is left without it, or the model wants it, it is refused by name, from a graph and from bytes."""
    for form in (model(text, opset=21), model(text, opset=21).to_bytes()):
        with pytest.raises(UnsupportedModelError, match=f"'{name}' is {kind}; onepass supports only dense tensors"):
            load(form)
