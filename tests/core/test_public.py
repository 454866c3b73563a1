"""The one door: what `import onepass` shows, and what it does not load."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import onepass

_MODEL = str(Path(onepass.__file__).parent / "gaze" / "data" / "elg_60x36.onnx")
_HEAVY = {"numpy", "onnx", "onnxruntime", "cv2", "torch", "rich"}


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_all_is_what_is_visible() -> None:
    """`__all__` lists every public name, sorted, and nothing else is public."""
    assert list(onepass.__all__) == sorted(onepass.__all__)
    for name in onepass.__all__:
        assert getattr(onepass, name) is not None
    modules = {
        "annotations",
        "batch",
        "bench",
        "builder",
        "cli",
        "compare",
        "doctor",
        "drafts",
        "engine",
        "export",
        "formats",
        "gaze",
        "graph",
        "media",
        "outputs",
        "runtime",
        "serve",
        "source",
        "tensors",
        "web",
        "artifacts",
    }
    hidden = {"Any", "TYPE_CHECKING", "import_module", "opening", "sampling", "writers"}
    visible = {name for name in dir(onepass) if not name.startswith("_")}
    assert visible - modules - hidden == set(onepass.__all__)


def test_unknown_name() -> None:
    """A name that does not exist is an AttributeError, as for any module."""
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = onepass.lod


def test_import_loads_nothing_heavy() -> None:
    """`import onepass` leaves the libraries that take long to import alone."""
    assert not _HEAVY & _modules_after("import onepass")


def test_help_loads_nothing_heavy() -> None:
    """`onepass --help` answers without importing any command."""
    code = "from onepass.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not _HEAVY & _modules_after(code)


def test_heavy_import_would_be_seen() -> None:
    """The tests above can fail: loading a model does load the libraries behind it."""
    assert {"numpy", "onnxruntime"} <= _modules_after(f"import onepass; onepass.load({_MODEL!r})")


def test_load_brings_the_backend_that_it_chose() -> None:
    """Running an ONNX file needs neither onnx nor a builder of engines, and nothing of CUDA."""
    loaded = _modules_after(
        f"import onepass, numpy as np\nwith onepass.load({_MODEL!r}) as session:\n"
        "    session(np.zeros((1, 1, 36, 60), np.float32))"
    )
    assert "onnxruntime" in loaded
    assert not loaded & {"onnx", "cuda", "tensorrt", "tensorrt_rtx", "onepass.builder", "onepass.graph",
                         "onepass.source", "onepass.runtime.tensorrt.backend"}  # fmt: skip


def test_load_looks_at_a_file_once() -> None:
    """Python opens a model file to see what it is and whether it names other files, and leaves reading it to others."""
    script = (
        "import sys, onepass, onepass.runtime.onnxruntime.backend\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(args[0]) if event == 'open' else None)\n"
        f"onepass.load({_MODEL!r}).close()\n"
        f"print(sum(str(each) == {_MODEL!r} for each in opened))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "2"


def test_many_threads_load_at_first() -> None:
    """Threads that open models while the libraries for it are still being imported do not see them half there."""
    script = (
        "import onepass, sys, threading\n"
        "ready, failed = threading.Barrier(17), []\n"
        "def work(turn):\n"
        "    ready.wait()\n"
        "    try:\n"
        f"        onepass.load({_MODEL!r}).close() if turn % 2 else onepass.OnnxGraph\n"
        "    except BaseException as error:\n"
        "        failed.append(repr(error))\n"
        "threads = [threading.Thread(target=work, args=(turn,)) for turn in range(16)]\n"
        "[thread.start() for thread in threads]\n"
        "ready.wait()\n"
        "[thread.join() for thread in threads]\n"
        "print(failed)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_running_engines_needs_no_onnx() -> None:
    """What runs engines brings neither ONNX Runtime nor onnx, nor what builds them."""
    loaded = _modules_after("import onepass.runtime.tensorrt.backend")
    assert not loaded & {"onnx", "onnxruntime", "onepass.builder", "onepass.graph", "onepass.source"}


@pytest.mark.parametrize("name", ["ModelError", "InputError", "OutputNameError", "BackendError", "MediaError"])
def test_errors_share_a_base(name: str) -> None:
    """One `except` catches all that onepass raises on purpose."""
    assert issubclass(getattr(onepass, name), onepass.OnepassError)


def test_error_tree_in_docstring_is_complete() -> None:
    """The tree drawn in the docstring names every error, and each under its base."""
    from onepass import _errors

    drawn = _errors.__doc__ or ""
    for name, value in vars(_errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert name in drawn
            assert getattr(onepass, name) is value


@pytest.mark.parametrize("name", [name for name in onepass.__all__ if name.endswith(("Error", "Warning"))])
def test_errors_are_called_by_their_public_names(name: str) -> None:
    """Tracebacks say `onepass.InputError`, and an error survives pickling and copying under that name."""
    kind = getattr(onepass, name)
    assert f"{kind.__module__}.{kind.__qualname__}" == f"onepass.{name}"
    for again in (pickle.loads(pickle.dumps(kind("why"))), copy.copy(kind("why"))):
        assert type(again) is kind
        assert str(again) == "why"


def test_every_error_is_documented() -> None:
    """The page of errors lists each of them under its public name."""
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = {line.split()[-1] for line in page.splitlines() if line.startswith(".. autoexception::")}
    assert listed == {name for name in onepass.__all__ if name.endswith(("Error", "Warning"))}


def test_a_traceback_ends_with_the_public_name() -> None:
    """What Python prints of an error that nobody catches begins with a name that users can import."""
    script = "import onepass; onepass.load('nothing.onnx')"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.stderr.splitlines()[-1] == "onepass.ModelNotFoundError: no model file at nothing.onnx"


@pytest.mark.parametrize("name", ["Session", "Outputs", "Signature", "TensorSpec", "Plan", "ModelSpec", "OnnxGraph"])
def test_classes_say_where_they_can_be_imported(name: str) -> None:
    """The module in a class's repr is one that users may import from."""
    kind = getattr(onepass, name)
    assert not any(part.startswith("_") for part in kind.__module__.split("."))
    assert getattr(sys.modules[kind.__module__], name) is kind
