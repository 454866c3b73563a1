"""The command line, as a person meets it: output, exit codes, messages."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import LeftOutWarning
from onepass.media import read_picture, write_picture
from tests.cli.shell import Shell
from tests.zoo import BY_NAME, model, sequence_model


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A file with the three-headed model."""
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


# ---- the command as a whole --------------------------------------------------------------------------------------


def test_version(shell: Shell) -> None:
    """--version prints the package's version."""
    assert shell("--version") == f"onepass {onepass.__version__}\n"


def test_help_lists_every_command(shell: Shell) -> None:
    """--help lists the commands in the order of use, each with what it does."""
    text = shell("--help")
    places = [text.index(f"\n  {name} ") for name in ("inspect", "run", "compare", "bench", "doctor", "gaze", "demo")]
    assert places == sorted(places)


@pytest.mark.parametrize("name", ["inspect", "run", "compare", "bench", "doctor", "gaze", "demo"])
def test_help_of_each_command_begins_like_the_list(shell: Shell, name: str) -> None:
    """Each command has help of its own, with --debug and an explanation."""
    text = shell(name, "--help")
    assert f"Usage: onepass {name} " in text
    assert "--debug" in text
    assert "\\b" not in text
    assert len(text.splitlines()) > 6


def test_as_a_program(three: Path) -> None:
    """Installed script and `python -m onepass` are the same program."""
    script = Path(sys.executable).with_name("onepass")
    first = subprocess.run([script, "inspect", three], capture_output=True, text=True, check=True)
    second = subprocess.run(
        [sys.executable, "-m", "onepass", "inspect", three], capture_output=True, check=True, text=True
    )
    assert first.stdout == second.stdout
    assert "zebra" in first.stdout


def test_an_output_that_is_not_utf8(three: Path) -> None:
    """A terminal without the letters gets a question mark, not an error."""
    script = Path(sys.executable).with_name("onepass")
    result = subprocess.run(
        [script, "run", three, "--random"], capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii"}
    )
    assert b"zebra" in result.stdout


def test_debug_before_the_command(shell: Shell, tmp_path: Path) -> None:
    """--debug works before the command and after it."""
    assert "Traceback" in shell.fails("--debug", "inspect", tmp_path / "nothing.onnx")


def test_errors_are_one_message(shell: Shell, tmp_path: Path) -> None:
    """An error is one readable line; --debug adds the traceback."""
    text = shell.fails("inspect", tmp_path / "nothing.onnx")
    assert text == f"onepass: no model file at {tmp_path / 'nothing.onnx'}\n"
    text = shell.fails("inspect", tmp_path / "nothing.onnx", "--debug")
    assert "Traceback" in text
    assert text.endswith(f"onepass: no model file at {tmp_path / 'nothing.onnx'}\n")


def test_faults_of_our_own_are_named_as_such(shell: Shell, three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw still ends in one line, which says that it is ours."""

    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError("ha")

    monkeypatch.setattr("onepass.cli.inspect._facts", broken)
    assert "ZeroDivisionError: ha. This is a bug in onepass" in shell.fails("inspect", three)


def test_interrupt(shell: Shell, three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with status 130 and no traceback."""

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("onepass.cli.inspect._facts", interrupted)
    assert shell.fails("inspect", three, status=130).strip() == "onepass: interrupted"


def test_an_error_within_an_error(shell: Shell, three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What onepass said deeper down is in the command's words too; what another library said stays as it is."""
    causes: list[Exception] = [
        onepass.InputError("a greater timeout= is needed"),
        ValueError("a greater timeout= is needed"),
    ]

    def failing(*arguments: Any) -> None:
        cause = causes.pop(0)
        raise onepass.InputError(f"no: {cause}") from cause

    monkeypatch.setattr("onepass.cli.run.load", failing)
    assert "a greater --timeout is needed" in shell.fails("run", three, "--random")
    assert "a greater timeout= is needed" in shell.fails("run", three, "--random")


# ---- inspect -----------------------------------------------------------------------------------------------------


def test_inspect(shell: Shell, three: Path) -> None:
    """Inputs and outputs are listed in the model's order with dtypes and shapes, as they are written."""
    text = shell("inspect", three)
    assert "ONNX, opset 17" in text
    assert [line.split()[0] for line in text.splitlines() if "float32" in line] == ["x", "zebra", "ant", "monkey"]
    assert "[N, 4]" in text


def test_inspect_json(shell: Shell, three: Path) -> None:
    """--json has the same facts for programs."""
    facts = json.loads(shell("inspect", three, "--json"))
    assert facts["opset"] == 17
    assert [spec["name"] for spec in facts["outputs"]] == ["zebra", "ant", "monkey"]
    assert facts["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["N", 4]}]
    assert facts["size_bytes"] == three.stat().st_size


def test_inspect_shows_metadata_as_it_is(shell: Shell, tmp_path: Path) -> None:
    """Metadata that looks like markup is printed, not obeyed."""
    import onnx

    graph = model("(float[N] x) => (float[N] y) { y = Neg (x) }")
    onnx.helper.set_model_props(graph.proto, {"note": "[bold]loud[/bold]"})
    graph.save(tmp_path / "m.onnx")
    assert "note: [bold]loud[/bold]" in shell("inspect", tmp_path / "m.onnx")


def test_inspect_shows_what_cannot_be_moved(shell: Shell, tmp_path: Path) -> None:
    """Sequences are listed as such, in their place: who looks at a model wants to see all of it."""
    sequence_model().save(tmp_path / "m.onnx")
    text = shell("inspect", tmp_path / "m.onnx")
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line[:2] in ("y ", "s ", "z ")]
    assert [row[0] for row in rows] == ["y", "s", "z"]
    assert "sequence (not supported)" in rows[1][1]
    assert "float32" in rows[2][1]


def test_inspect_shortens_notes(shell: Shell, tmp_path: Path) -> None:
    """However long a model's notes and its producer's name, they are a line each; --metadata prints the notes whole."""
    graph = model("(float[N] x) => (float[N] y) { y = Neg (x) }")
    notes = {"training": "\n".join(f"line {i}" for i in range(6635)), **{f"note {i}": str(i) for i in range(30)}}
    graph.proto.producer_name = "exporter " * 500
    graph.with_metadata(notes).save(tmp_path / "m.onnx")
    text = shell("inspect", tmp_path / "m.onnx")
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines()[1:])) <= 80
    assert "(31 entries, shortened; --metadata prints them in full)" in text
    whole = shell("inspect", tmp_path / "m.onnx", "--metadata").splitlines()
    assert "  line 6634" in whole
    assert "note 29: 29" in whole


def test_inspect_shortens_names_of_sizes(shell: Shell, tmp_path: Path) -> None:
    """A size whose name is a formula leaves the table readable; JSON has the name whole."""
    graph = model("(float[N] x) => (float[N] y) { y = Neg (x) }")
    name = "floor((sequence_length + 2 * padding - kernel) / stride) + 1" * 7
    graph.proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = name
    graph.save(tmp_path / "m.onnx")
    assert "y     float32  [floor((sequence_length …]" in shell("inspect", tmp_path / "m.onnx")
    converted = shell("convert", tmp_path / "m.onnx", "-o", tmp_path / "new.onnx")
    assert "y     float32  [floor((sequence_length …]  exact" in converted
    assert json.loads(shell("inspect", tmp_path / "m.onnx", "--json"))["outputs"][0]["shape"] == [name]


def test_inspect_says_what_is_listed_twice(shell: Shell, tmp_path: Path) -> None:
    """An output that the model lists more than once is shown once, and said to be."""
    BY_NAME["an output that is listed twice"].graph.save(tmp_path / "m.onnx")
    assert "y is listed more than once as an output; it is a single output" in shell("inspect", tmp_path / "m.onnx")
    facts = json.loads(shell("inspect", tmp_path / "m.onnx", "--json"))
    assert facts["listed_twice"] == ["y"]
    assert [each["name"] for each in facts["outputs"]] == ["y", "z"]


def test_what_is_left_out_is_said_in_one_line(three: Path, tmp_path: Path) -> None:
    """The program says in one line what it leaves out, and says nothing where nothing is."""
    sequence_model().save(tmp_path / "m.onnx")
    for file, said in ((tmp_path / "m.onnx", 1), (three, 0)):
        command = [sys.executable, "-m", "onepass", "run", str(file), "--random"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        assert len(ran.stderr.splitlines()) == said
        assert not said or ran.stderr.startswith(f"onepass: {file}: left out s (sequence)")


@pytest.mark.parametrize("command", [["run"], ["compare"], ["bench", "--seconds", "0.01"]], ids=lambda words: words[0])
def test_who_chooses_is_not_told_what_is_left_out(shell: Shell, tmp_path: Path, command: list[str]) -> None:
    """Where outputs are chosen, nothing is said of those that no one can have; where none are, it is said."""
    file = tmp_path / "m.onnx"
    sequence_model().save(file)
    given = [file, file] if command == ["compare"] else [file, *(["--random"] if command == ["run"] else [])]
    shell(*command, *given, "--outputs", "z", "--outputs", "y")
    with pytest.warns(LeftOutWarning, match=r"left out s \(sequence\)"):
        shell(*command, *given)


@pytest.fixture
def picky(tmp_path: Path) -> Path:
    """A model that takes pictures whose unknown sizes are 48 and 192 only, and says so of none of them."""
    graph = model("(float[A, 3, B, C] x) => (float[A, 27648] y)"
                  " { s = Constant <value_ints = [-1, 27648]> () \n y = Reshape (x, s) }")  # fmt: skip
    for dim in graph.proto.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "?"
    graph.save(tmp_path / "picky.onnx")
    return tmp_path / "picky.onnx"


@pytest.mark.parametrize("command", ["run", "compare", "bench"])
def test_sizes_without_a_name(shell: Shell, picky: Path, command: str) -> None:
    """Inputs that a model refuses are said to be made up, with the option that sizes them; it does."""
    words = {
        "run": ["run", picky, "--random"],
        "compare": ["compare", picky, picky],
        "bench": ["bench", picky, "--seconds", "0.1", "--cold", "0"],
    }[command]
    said = shell.fails(*words)
    assert "The inputs were random: x is [1, 3, 1, 1] for [A, 3, ?, ?]. Give --size A=64, --shape x=64x3x64x64" in said
    assert shell(*words, "--shape", "x=2x3x48x192")
    assert "expected a shape that fits float32 [A, 3, ?, ?]" in shell.fails(*words, "--shape", "x=2x4x48x192")
    assert "expected NAME=SHAPE, such as x=1x3x48x192" in shell.fails(*words, "--shape", "x=2x")
    assert "--shape x=8x3x8x8" in shell.fails(*words, "--size", "?=48")


def test_one_size_for_a_name(shell: Shell, tmp_path: Path) -> None:
    """A dimension that several inputs name has one size in all of them, on whatever axis, the one that is given."""
    BY_NAME["a batch that is not first"].graph.save(tmp_path / "state.onnx")
    facts = json.loads(shell("run", tmp_path / "state.onnx", "--random", "--size", "batch=3", "--json"))
    assert [each["shape"] for each in facts["outputs"].values()] == [[2, 3, 4], [3, 1]]
    facts = json.loads(shell("run", tmp_path / "state.onnx", "--random", "--shape", "state=2x5x4", "--json"))
    assert [each["shape"] for each in facts["outputs"].values()] == [[2, 5, 4], [5, 1]]


def test_optimize_on_the_command_line(shell: Shell, three: Path) -> None:
    """How much ONNX Runtime rewrites is chosen by an option, or behind a model's name, and said where it is not all."""
    assert shell("run", three, "--random", "--optimize", "none").endswith("on cpu, optimised none\n")
    assert shell("run", three, "--random").endswith("on cpu\n")
    assert shell("compare", three, f"{three}@optimize=basic").endswith("within tolerance\n")


def test_strings_on_the_command_line(shell: Shell, tmp_path: Path) -> None:
    """Strings are made up, read from files, shown and written; TensorRT refuses them by name."""
    BY_NAME["strings [M]"].graph.save(tmp_path / "s.onnx")
    np.savez(tmp_path / "in.npz", s=np.array(["cat [b]", "owl"]), x=np.ones(1, np.float32))
    text = shell("run", tmp_path / "s.onnx", "-i", tmp_path / "in.npz", "-o", tmp_path / "out.json")
    assert "'cat [b]' … 'owl'" in text
    assert json.loads((tmp_path / "out.json").read_text())["t"]["data"] == ["cat [b]", "owl"]
    assert "string" in shell("run", tmp_path / "s.onnx", "--random")
    assert shell("compare", tmp_path / "s.onnx", tmp_path / "s.onnx", "--edges").endswith("within tolerance\n")


def test_inspect_ort(shell: Shell, three: Path) -> None:
    """ONNX Runtime's own format is shown as far as it tells."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(three.with_suffix(".ort"))
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(three), options, providers=["CPUExecutionProvider"])
    text = shell("inspect", three.with_suffix(".ort"))
    assert "ORT" in text
    assert "zebra" in text


def test_inspect_of_something_else(shell: Shell, tmp_path: Path) -> None:
    """A file that is no ONNX model is called what it is."""
    (tmp_path / "m.onnx").write_bytes(bytes(4) + b"TFL3" + bytes(60))
    assert "is a TFLite model" in shell.fails("inspect", tmp_path / "m.onnx")


# ---- run ---------------------------------------------------------------------------------------------------------


def test_random_inputs_follow_those_given(shell: Shell, tmp_path: Path) -> None:
    """With some inputs given, --random makes the others of sizes that go with them; text files feed strings."""
    model(
        "(string[N] s, float[N, M] x, float[M] w) => (string[N] t, float[N, M] y) "
        "{ t = Identity (s) \n y = Mul (x, w) }"
    ).save(tmp_path / "m.onnx")
    np.save(tmp_path / "s.npy", np.array(["a", "b", "ü"]))
    text = shell("run", tmp_path / "m.onnx", "--random", "-i", f"s={tmp_path / 's.npy'}", "--size", "M=2")
    assert "t     string   [3]     'a' … 'ü'" in text
    assert "y     float32  [3, 2]" in text
    error = shell.fails("run", tmp_path / "m.onnx", "--random", "-i", f"s={tmp_path / 's.npy'}", "--size", "N=2")
    assert "sets N to 3, but it is already 2" in error
    example = f"s={tmp_path / 's.npy'}"
    converted = shell("convert", tmp_path / "m.onnx", "-o", tmp_path / "new.onnx", "--example", example)
    assert "t     string   [N]     exact" in converted


def test_run_random(shell: Shell, three: Path) -> None:
    """Random inputs need nothing but the model; every output is listed with shape and range."""
    text = shell("run", three, "--random", "--size", "N=3")
    rows = {line.split()[0]: line for line in text.splitlines() if "float32" in line}
    assert list(rows) == ["zebra", "ant", "monkey"]
    assert "[3, 4]" in rows["zebra"]
    assert "…" in rows["zebra"]
    assert "ms, onnxruntime" in text


def test_run_saves_what_the_model_computes(shell: Shell, three: Path, tmp_path: Path) -> None:
    """From .npy to .npz, the values are those of the call in Python."""
    x = BY_NAME["three heads"].cases[1]["x"]
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    expected = BY_NAME["three heads"].reference({"x": x})
    for words in (["-i", tmp_path / "x.npy"], ["-i", f"x={tmp_path / 'x.npy'}"], ["-i", tmp_path / "x.npz"],
                  ["-i", f"x={tmp_path / 'x.npz'}"]):  # fmt: skip
        shell("run", three, *words, "-o", tmp_path / "out.npz")
        with np.load(tmp_path / "out.npz") as saved:
            assert list(saved) == ["zebra", "ant", "monkey"]
            for name in saved:
                np.testing.assert_allclose(saved[name], expected[name], rtol=1e-6)


def test_run_some_outputs_as_json(shell: Shell, three: Path, tmp_path: Path) -> None:
    """--output computes only those named; --json tells what was done."""
    facts = json.loads(shell("run", three, "--random", "--output", "ant", "--json", "-o", tmp_path / "out.json"))
    assert facts["outputs"] == {"ant": {"dtype": "float32", "shape": [1]}}
    assert facts["backend"] == "onnxruntime"
    assert json.loads((tmp_path / "out.json").read_text())["ant"]["shape"] == [1]


def test_run_pictures(shell: Shell, tmp_path: Path) -> None:
    """Pictures feed an input: resized, in its layout, scaled as asked; several are a batch."""
    cv2 = pytest.importorskip("cv2")
    graph = model("(float[N, 3, 4, 6] picture) => (float[N, 3, 4, 6] same, float least) {"
                  " same = Identity (picture) \n least = ReduceMin <keepdims = 0> (picture) }")  # fmt: skip
    graph.save(tmp_path / "m.onnx")
    red = np.zeros((8, 12, 3), np.uint8)
    red[..., 2] = 255  # OpenCV's order is blue, green, red
    cv2.imwrite(str(tmp_path / "red.png"), red)
    shell("run", tmp_path / "m.onnx", "-i", tmp_path / "red.png", "-i", tmp_path / "red.png", "--range", -1, 1,
          "-o", tmp_path / "out.npz")  # fmt: skip
    one = model("(float[H, W] picture) => (float[H, W] same) { same = Identity (picture) }")
    one.save(tmp_path / "one.onnx")
    text = shell.fails("run", tmp_path / "one.onnx", "-i", tmp_path / "red.png", "-i", tmp_path / "red.png")
    assert "has no batch dimension: expected one picture, got 2" in text
    with np.load(tmp_path / "out.npz") as saved:
        assert saved["same"].shape == (2, 3, 4, 6)
        np.testing.assert_array_equal(saved["same"][:, :, 0, 0], [[1, -1, -1]] * 2)


def test_run_messages(shell: Shell, three: Path, tmp_path: Path) -> None:
    """What is missing or wrong on the command line is said with what to do."""
    (tmp_path / "bad.npy").write_bytes(b"no")
    np.save(tmp_path / "x64.npy", np.zeros((1, 4)))
    np.savez(tmp_path / "y.npz", y=np.zeros(4))
    cases: list[tuple[list[object], str]] = [
        ([], r"needs input x (float32 [N, 4]); give files with -i NAME=FILE, or use --random"),
        (["-i", tmp_path / "none.npy"], "file not found"),
        (["-i", tmp_path / "none.png"], "none.png"),
        (["-i", tmp_path / "bad.npy"], "not a NumPy file of numbers"),
        (["-i", tmp_path / "x64.npy"], "expected float32 [N, 4], got float64 [1, 4]"),
        (["-i", f"x={tmp_path / 'y.npz'}"], "has no array 'x'. Its arrays are: y"),
        (["-i", tmp_path / "y.npz"], "no input 'y'"),
        (["-i", tmp_path / "x64.npy", "-i", tmp_path / "x64.npy"], "input 'x' is given twice"),
        (["-i", "x="], "--input 'x=': expected FILE or NAME=FILE"),
        (["-i", f"q={tmp_path / 'y.npz'}"], "no input 'q'. Its inputs are: x"),
        (["--random", "--size", "M=3"], "no dynamic dimension 'M'. Its dynamic dimensions are: N"),
        (["--random", "--output", "ants"], "Did you mean 'ant'?"),
        (["--random", "-o", tmp_path / "out.txt"], "expected .npz, .json or none"),
        (["--random", "--provider", "nonsense"], "provider 'nonsense' is not available"),
    ]
    for words, message in cases:
        text = shell.fails("run", three, *words)
        assert message in text
        assert text.startswith("onepass: ")
        assert text.count("\n") == 1
    assert "expected NAME=SIZE" in shell.fails("run", three, "--random", "--size", "N:3")
    assert "expected NAME=SIZE" in shell.fails("run", three, "--random", "--size", "N=²")
    assert "add --random" in shell.fails("run", three, "-i", tmp_path / "x64.npy", "--size", "N=3")
    assert "not in the range" in shell.fails("run", three, "--random", "--seed", -1)
    assert not (tmp_path / "out.txt").exists()


def test_run_needs_names_for_two_inputs(shell: Shell, tmp_path: Path) -> None:
    """A file for one of two inputs must say which."""
    BY_NAME["two inputs, one batch"].graph.save(tmp_path / "m.onnx")
    np.save(tmp_path / "a.npy", np.zeros((2, 2), np.float32))
    assert "a, b; choose one with -i NAME=" in shell.fails("run", tmp_path / "m.onnx", "-i", tmp_path / "a.npy")
    assert "[1, 5]" in shell("run", tmp_path / "m.onnx", "--random")


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "unknown rank"])
def test_run_and_inspect_every_model(shell: Shell, name: str, tmp_path: Path) -> None:
    """Whatever its edges, a model can be looked at, run and saved."""
    BY_NAME[name].graph.save(tmp_path / "m.onnx")
    shell("inspect", tmp_path / "m.onnx")
    text = shell("run", tmp_path / "m.onnx", "--random", "-o", tmp_path / "out")
    index = json.loads((tmp_path / "out" / "outputs.json").read_text())
    assert list(index) == list(BY_NAME[name].graph.signature.output_names)
    assert all((tmp_path / "out" / entry["file"]).is_file() for entry in index.values())
    assert "one pass" in text


# ---- demo --------------------------------------------------------------------------------------------------------


def test_demo(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo prints every output and what it says of each eye, and writes a picture that is not the one it read."""
    monkeypatch.chdir(tmp_path)
    text = shell("demo")
    for name in ("heatmaps", "landmarks", "radius", "right eye", "left eye", "gaze", "iris", "eyelid", "one pass"):
        assert name in text
    assert text.endswith("written to demo/astronaut-gaze.png\n")
    annotated = read_picture(tmp_path / "demo" / "astronaut-gaze.png")
    assert annotated.shape[0] >= 512
    assert annotated.shape[1] > 512


def test_demo_keeps_the_picture(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of one's own is read, never written."""
    from skimage.data import astronaut

    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    write_picture(tmp_path / "demo" / "face.png", astronaut())  # type: ignore[no-untyped-call]
    before = (tmp_path / "demo" / "face.png").read_bytes()
    shell("demo", "--picture", "demo/face.png", "--model", "small")
    assert "is the input picture" in shell.fails("demo", "--picture", "demo/face.png", "-o", tmp_path / "demo/face.png")
    assert (tmp_path / "demo" / "face.png").read_bytes() == before
    assert sorted(file.name for file in (tmp_path / "demo").iterdir()) == ["face-gaze.png", "face.png"]


def test_demo_without_a_face(shell: Shell, tmp_path: Path, three: Path) -> None:
    """A picture without a face, a file that is no picture, and a model that is no ELG are told as such."""
    write_picture(tmp_path / "grey.png", np.full((64, 64, 3), 128, np.uint8))
    assert "no face found in" in shell.fails("demo", "--picture", tmp_path / "grey.png", "-o", tmp_path / "o.png")
    assert "three.onnx" in shell.fails("demo", "--picture", three)
    assert "expected a name ending in .jpg" in shell.fails("demo", "-o", tmp_path / "new" / "o.xyz")
    assert not (tmp_path / "new").exists()
    assert "this is not an ELG eye network" in shell.fails("demo", "--model", three)
