"""What is ONNX Runtime's own: files, providers, threads, parts of a graph, errors."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onepass
from onepass import (
    BackendError,
    DeviceError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
    OnnxGraph,
    UnsupportedModelError,
    load,
)
from onepass._programs import usable_cores
from onepass.runtime import Backend
from onepass.runtime._model import ModelHandle
from onepass.runtime.fake import FakeBackend
from onepass.runtime.onnxruntime._refusals import PREPARE_ERRORS
from onepass.runtime.onnxruntime.backend import OnnxRuntimeBackend
from onepass.runtime.onnxruntime.sessions import Sessions
from tests.checker import assert_same
from tests.threads import in_threads
from tests.zoo import BY_NAME, model

THREE = BY_NAME["three heads"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with the three-headed model."""
    THREE.graph.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


def _backend(source: Any, **options: Any) -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend(Sessions(ModelHandle(source), **options))


def test_both_are_backends() -> None:
    """The backends have all that the protocol asks for."""
    assert isinstance(_backend(THREE.graph), Backend)
    assert isinstance(FakeBackend(THREE.graph.signature), Backend)


@pytest.mark.parametrize("kind", [str, Path, Path.read_bytes, OnnxGraph.load], ids=["str", "path", "bytes", "graph"])
def test_kinds_of_models(path: Path, kind: Any) -> None:
    """A path, a string, bytes or a graph: the same model."""
    with load(kind(path)) as session:
        assert session.signature.output_names == ("zebra", "ant", "monkey")
        assert session(THREE.cases[0]).ant.shape == (1,)


def test_ort_format(path: Path) -> None:
    """ONNX Runtime's own format runs too; a part of the outputs is fetched, though all are computed."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".ort"))
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with load(path.with_suffix(".ort")) as session:
        assert list(session(THREE.cases[0], outputs=["ant"])) == ["ant"]


def test_report(path: Path) -> None:
    """The report names the backend, its version, device and threads."""
    with load(path, threads=2) as session:
        assert session.report() == {
            "backend": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": "cpu",
            "providers": ["CPUExecutionProvider"],
            "threads": 2,
            "optimize": "all",
        }


def test_nothing_is_printed(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime's own log stays silent, on errors too: what went wrong is in the exception."""
    with load(path) as session:
        session(THREE.cases[0])
    with pytest.raises(BackendError):
        _failing()(x=np.zeros((3, 1), np.float32))
    assert capfd.readouterr() == ("", "")


def _failing() -> onepass.Session:
    """Return a session of a model that fails for three rows: it reshapes to two."""
    return load(
        model("(float[N, K] x) => (float[2, M] y) { s = Constant <value_ints = [2, -1]> () \n y = Reshape (x, s) }")
    )


def test_failure_names_inputs_and_reason() -> None:
    """When the computation fails the message has the inputs' shapes and ONNX Runtime's reason, as its cause too."""
    with _failing() as session, pytest.raises(BackendError, match=r"x float32\[3, 1\].*Reshape") as caught:
        session(x=np.zeros((3, 1), np.float32))
    assert caught.value.__cause__ is not None


# ---- only what is asked for --------------------------------------------------------------------------------------


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The outputs of every model that ONNX Runtime was asked to prepare, one entry a model."""
    made: list[tuple[str, ...]] = []
    real = onnxruntime.InferenceSession

    def prepare(*arguments: Any, **options: Any) -> Any:
        session = real(*arguments, **options)
        made.append(tuple(output.name for output in session.get_outputs()))
        return session

    monkeypatch.setattr(onnxruntime, "InferenceSession", prepare)
    return made


def test_parts_are_prepared_once(path: Path, prepared: list[tuple[str, ...]]) -> None:
    """The first call for a subset prepares the part of the graph it needs; later calls use it again."""
    with load(path) as session:
        for _ in range(3):
            session(THREE.cases[0], outputs=["ant"])
            session(THREE.cases[0], outputs=["zebra", "monkey"])
    assert prepared == [("zebra", "ant", "monkey"), ("ant",), ("zebra", "monkey")]


def test_the_other_outputs_are_not_computed() -> None:
    """An output that fails when computed does no harm to a call that does not ask for it."""
    graph = model("""(float[N, K] x) => (float[2, M] bad, float[N, K] good) {
        s = Constant <value_ints = [2, -1]> ()
        bad = Reshape (x, s)
        good = Neg (x)
    }""")
    x = np.ones((3, 1), np.float32)
    with load(graph) as session:
        with pytest.raises(BackendError):
            session(x)
        np.testing.assert_array_equal(session(x, outputs=["good"]).good, -x)


def test_no_part_where_all_is_needed(prepared: list[tuple[str, ...]]) -> None:
    """If every node is needed anyway, the whole graph's session serves the subset."""
    graph = model("(float[N] x) => (float[N] a, float[N] b) { a = Neg (x) \n b = Abs (a) }")
    with load(graph) as session:
        assert list(session(np.ones(2, np.float32), outputs=["b"])) == ["b"]
    assert prepared == [("a", "b")]


def test_parts_are_prepared_once_by_many_threads(prepared: list[tuple[str, ...]]) -> None:
    """Threads that ask for the same new subset at once share one preparation."""
    with load(THREE.graph) as session:

        def work(_: int) -> None:
            assert list(session(THREE.cases[0], outputs=["ant"])) == ["ant"]

        in_threads(8, work)
    assert prepared == [("zebra", "ant", "monkey"), ("ant",)]


# ---- threads and providers ---------------------------------------------------------------------------------------


def test_default_threads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread for a small model; for a large one, in memory, in a file or beside it, all that may be used."""
    monkeypatch.setattr("onepass.runtime.onnxruntime.sessions.usable_cores", lambda: 7)
    assert _backend(str(path)).report()["threads"] == 1
    assert _backend(path.read_bytes()).report()["threads"] == 1
    monkeypatch.setattr("onepass.runtime._model.LARGE_BYTES", 2000)
    assert _backend(str(path)).report()["threads"] == 1
    weights = model("(float[N, 1000] x) => (float[N, 1000] y) <float[1000] w = {" + ", ".join(["1"] * 1000) + "}>"
                    " { y = Mul (x, w) }")  # fmt: skip
    assert _backend(weights).report()["threads"] == 7
    assert _backend(weights.to_bytes()).report()["threads"] == 7
    weight = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights.proto.graph.initializer[0]), "w")
    weights.proto.graph.initializer[0].CopyFrom(weight)  # as raw bytes, which can lie in a file
    onnx.save_model(weights.proto, path, save_as_external_data=True, location="any name.bin", size_threshold=0)
    assert path.stat().st_size < 2000
    assert _backend(str(path)).report()["threads"] == 7


def test_only_threads_that_were_asked_for_spin(path: Path) -> None:
    """Waiting threads take no core from others, unless the caller asked for threads."""

    def spinning(**options: Any) -> str:
        configured = _backend(str(path), **options)._session.get_session_options()
        return str(configured.get_session_config_entry("session.intra_op.allow_spinning"))

    assert spinning() == "0"
    assert spinning(threads=2) == "1"


def test_usable_cores() -> None:
    """The process may use at least the core it runs on."""
    assert usable_cores() >= 1


def test_own_session_options(path: Path) -> None:
    """Options of one's own are used as they are, and exclude threads=."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 3
    with load(path, session_options=options) as session:
        assert session.report()["threads"] == 3
    with pytest.raises(InputError, match=r"threads= and session_options= cannot"):
        load(path, session_options=options, threads=1)


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, 100_000])
def test_nonsense_threads(path: Path, threads: Any) -> None:
    """A number of threads that is none is refused; ONNX Runtime would hang on some."""
    with pytest.raises(InputError, match=r"threads= must be a whole number from 1 to 1024"):
        load(path, threads=threads)


@pytest.mark.parametrize("providers", [["cpu"], ["CPUExecutionProvider"], ["CPU"], [("cpu", {})]])
def test_provider_names(path: Path, providers: Any) -> None:
    """A provider goes by ONNX Runtime's name or by its short one, with or without options."""
    with load(path, providers=providers) as session:
        assert session.report()["providers"] == ["CPUExecutionProvider"]


@pytest.mark.parametrize("providers", [["nonsense"], ["cpu", "NonsenseExecutionProvider"], [("nonsense", {})]])
def test_missing_provider_is_an_error(path: Path, providers: Any) -> None:
    """A provider that is not there is never left out silently."""
    with pytest.raises(DeviceError, match=r"provider '[Nn]onsense.*' is not available.*has .*cpu"):
        load(path, providers=providers)


def test_provider_that_does_not_start_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime falls back when a provider's driver is missing; onepass does not."""
    available = [*onnxruntime.get_available_providers(), "CUDAExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)

    class FellBack:
        def __init__(self, *arguments: Any, **options: Any) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "InferenceSession", FellBack)
    with pytest.raises(
        DeviceError, match=r"could not start CUDAExecutionProvider.*not fall back to CPUExecutionProvider"
    ):
        load(path, providers=["cuda"])


def test_providers_as_text(path: Path) -> None:
    """A single name in place of a list would be taken letter by letter; an empty list would mean anything."""
    wrong: tuple[Any, ...] = ("cpu", [])
    for providers in wrong:
        with pytest.raises(InputError, match=r'providers=\["cpu"\]'):
            load(path, providers=providers)


# ---- files that do not load --------------------------------------------------------------------------------------


def test_files_that_do_not_load(tmp_path: Path) -> None:
    """Missing, damaged and foreign files each have their own message."""
    file = tmp_path / "model.onnx"
    with pytest.raises(ModelNotFoundError, match=r"model\.onnx"):
        load(file)
    file.write_bytes(b"\x1c\0\0\0TFL3" + bytes(20))
    with pytest.raises(ModelFormatError, match="is a TFLite model"):
        load(file)
    with pytest.raises(ModelFormatError, match=r"onepass\.convert\('.*model\.onnx', 'model\.onnx'\)"):
        load(file)
    file.write_bytes(b"\x08\x09\x3a\x04\xff\xff\xff\xff")
    with pytest.raises(ModelFormatError, match=r"model\.onnx is not a valid ONNX model"):
        load(file)


def test_bytes_that_do_not_load() -> None:
    """Bytes are looked at like files."""
    with pytest.raises(ModelFormatError, match="the byte string is empty"):
        load(b"")


@pytest.mark.parametrize("thing", [None, 5, THREE.graph.proto])
def test_things_that_are_no_model(thing: Any) -> None:
    """What is no model at all is named, with what a model can be."""
    with pytest.raises(InputError, match=r"model: expected a path, the bytes of a file, an OnnxGraph or a Plan, got "):
        load(thing)


def test_the_file_may_change_or_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session stays the model that was loaded: a part of another file is never mixed in, and says so."""
    x = THREE.cases[0]
    monkeypatch.chdir(path.parent)
    with load(path.name) as session, load(path.name) as prepared:
        expected = session(x)
        prepared(x, outputs=["ant"])
        monkeypatch.chdir("/")
        np.testing.assert_array_equal(session(x, outputs=["zebra"]).zebra, expected.zebra)
        model("(float[N, 4] x) => (float[N, 4] zebra, float[N, 4] ant) { zebra = Abs (x) \n ant = Exp (x) }").save(path)
        with pytest.raises(ModelFormatError, match=r"three\.onnx has changed since it was loaded"):
            session(x, outputs=["ant"])
        path.unlink()
        with pytest.raises(ModelFormatError, match="has changed since"):
            session(x, outputs=["ant"])
        np.testing.assert_array_equal(session(x).ant, expected.ant)
        np.testing.assert_array_equal(prepared(x, outputs=["ant"]).ant, expected.ant)


def test_the_weights_may_change(tmp_path: Path) -> None:
    """Weights beside the model belong to it: where they have changed, a part of it is not prepared."""
    graph = model("(float[N] x) => (float[N] y, float[N] z) <float[1] w = {2.0}> { y = Mul (x, w) \n z = Neg (x) }")
    weight = onnx.numpy_helper.from_array(np.array([2], np.float32), "w")
    graph.proto.graph.initializer[0].CopyFrom(weight)
    onnx.save_model(graph.proto, tmp_path / "m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    with load(tmp_path / "m.onnx") as session:
        (tmp_path / "w.data").write_bytes(np.array([3, 3], np.float32).tobytes())
        with pytest.raises(ModelFormatError, match="has changed since it was loaded"):
            session(np.ones(1, np.float32), outputs=["y"])


def test_few_parts_are_kept() -> None:
    """However many subsets are asked for, only the last few stay prepared, and all are right."""
    animal = BY_NAME["32 outputs"]
    backend = _backend(animal.graph)
    case = dict(animal.cases[0])
    for turn in range(2):
        for i in range(turn, 24):
            (array,) = backend.run(case, (f"out{i}",))
            np.testing.assert_array_equal(array, case["x"] + np.float32(i))
    assert len(backend._parts) == 8


def test_unknown_operator() -> None:
    """An operator that ONNX Runtime does not know is named."""
    graph = OnnxGraph(onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) { y = Frobnicate (x) }'
    ))  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="Frobnicate"):
        load(graph)


def test_every_error_of_onnxruntime_is_mapped() -> None:
    """Each kind of error that ONNX Runtime can raise while it prepares a model becomes one of ours."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(kinds) >= 10
    for kind in kinds:
        assert kind.__name__ in PREPARE_ERRORS, f"say in PREPARE_ERRORS what {kind.__name__} means"

        def raise_it(*arguments: Any, kind: type[Exception] = kind, **options: Any) -> None:
            raise kind("ha")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(onnxruntime, "InferenceSession", raise_it)
            with pytest.raises(PREPARE_ERRORS[kind.__name__], match="ha") as caught:
                load(THREE.graph)
        assert isinstance(caught.value.__cause__, kind)


# ---- what the optimiser breaks, and what ONNX Runtime lacks ------------------------------------------------------


def _broken_by_the_optimiser(first: str) -> OnnxGraph:
    graph = model("(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) <float one = {1.0}>"
                  f" {{ mid = {first} \n h = Div (one, one) \n y = Mul (mid, h) \n z = Neg (x) }}")  # fmt: skip
    with pytest.raises(Exception, match="mid"):  # if no longer, the model shows nothing
        onnxruntime.InferenceSession(graph.to_bytes(), providers=["CPUExecutionProvider"])
    return graph


@pytest.mark.parametrize("first", ["Cast <to = 1> (x)", "Identity (x)", "Dropout (x)"])
def test_what_the_optimiser_breaks_opens_with_less_of_it(first: str) -> None:
    """A valid model that ONNX Runtime's optimiser makes invalid is opened with less of it, and the report says so."""
    graph, x = _broken_by_the_optimiser(first), np.ones((2, 4), np.float32)
    with load(graph) as session:
        assert session(x).y.tolist() == x.tolist()
        assert session(x, outputs=["y"]).y.tolist() == x.tolist()
        assert session.report()["optimize"] in ("basic", "none")
    with pytest.raises(UnsupportedModelError, match="mid"):
        load(graph, optimize="all")
    with load(graph.clean()) as session:
        assert session(x).y.tolist() == x.tolist()


@pytest.mark.parametrize("level", ["all", "basic", "none"])
def test_optimize(level: Any) -> None:
    """Every level computes the same, and the report names the one that was asked for."""
    with load(THREE.graph, optimize=level) as session:
        assert session.report()["optimize"] == level
        assert_same(session(THREE.cases[0]), THREE.reference(THREE.cases[0]))


def test_nonsense_optimize(path: Path) -> None:
    """A level that is none, or one beside options that have their own, is refused."""
    nonsense: Any = "much"
    with pytest.raises(InputError, match="optimize= must be one of all, basic, none, got 'much'"):
        load(path, optimize=nonsense)
    with pytest.raises(InputError, match="optimize must be none or basic or all, got 'much'"):
        onepass.ModelSpec(path, optimize=nonsense)
    with pytest.raises(InputError, match="optimize= and session_options= cannot be combined"):
        load(path, optimize="all", session_options=onnxruntime.SessionOptions())
    assert onepass.ModelSpec.parse(f"{path}@optimize=basic").optimize == "basic"


def _changed(change: Any) -> OnnxGraph:
    graph = OnnxGraph(onnx.ModelProto())
    graph.proto.CopyFrom(THREE.graph.proto)
    change(graph.proto)
    return graph


def _custom(proto: onnx.ModelProto) -> None:
    proto.opset_import.add(domain="my.ops", version=1)
    proto.graph.node[0].domain, proto.graph.node[0].op_type = "my.ops", "Mystery"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: setattr(p, "ir_version", 99),
            r"has ONNX IR version 99, but onnxruntime \S+ supports versions up to",
        ),
        (
            lambda p: setattr(p.opset_import[0], "version", 99),
            r"uses opset 99 of ai\.onnx, but onnxruntime \S+ supports",
        ),
        (_custom, r"uses the operator Mystery of my\.ops, which is neither a standard.*register_custom_ops_library"),
        (
            lambda p: setattr(p.graph.node[1], "op_type", "Gelu"),
            r"uses the operator Gelu, which does not exist in opset 17",
        ),
    ],
    ids=["IR version", "opset", "custom operator", "operator of a later opset"],
)
def test_what_onnxruntime_lacks(change: Any, message: str, tmp_path: Path) -> None:
    """What the file needs and what is here come first; ONNX Runtime's own words come last."""
    graph = _changed(change)
    graph.save(tmp_path / "m.onnx")
    for source, name in ((graph, "the graph given"), (tmp_path / "m.onnx", str(tmp_path / "m.onnx"))):
        with pytest.raises(UnsupportedModelError, match=message) as caught:
            load(source)
        said = str(caught.value)
        assert said.startswith(name)
        assert said.index("[ONNXRuntimeError]") > said.index("Its message: ")


def test_types_that_an_operator_does_not_take() -> None:
    """The operator, its input and the type are named."""
    graph = model("(float[N] x) => (float[N] y) { y = Relu (x) }", opset=13)
    for value in (*graph.proto.graph.input, *graph.proto.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.UINT64
    with pytest.raises(UnsupportedModelError, match=r"passes a tensor\(uint64\) as input 'x' of the operator Relu"):
        load(graph)
