"""PyTorch's networks become ONNX with every output under the name that it has in the network."""

from __future__ import annotations

import io
import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import onepass
from onepass import InputError, ModelFormatError, OnnxGraph, UnsupportedModelError
from tests.cli.shell import Shell
from tests.source.networks import converted

pytest.importorskip("torch", reason="PyTorch is not installed (make test-convert has it)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (make test-convert has it)")
import torch

Array = np.ndarray[Any, Any]
IMAGE = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


@dataclass
class Detection:
    """What a detector may return; PyTorch does not know this class."""

    boxes: Any
    masks: list[Any]
    more: dict[str, Any]
    loss: Any = None


class Detector(torch.nn.Module):
    """Heads of many dtypes; a dropout and a batch normalisation that differ in training."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Dropout(0.5)
        )
        self.box = torch.nn.Linear(4, 5)
        self.register_buffer("anchors", torch.arange(6.0).reshape(2, 3))

    def forward(self, image: Any, scale: Any) -> Detection:
        """Return boxes [N, 5], masks [N, 4, H, W], and more."""
        features = self.trunk(image)
        pooled = features.mean((2, 3))
        more = {"label": pooled.argmax(1), "image": image, "features": features, "anchors": self.anchors}
        return Detection(self.box(pooled) * scale, [features, features > 0.5], more)


class Heads(torch.nn.Module):
    """What TorchScript can hold: a dict."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mean [N, 3] and twice the image."""
        return {"mean": image.mean((2, 3)), "double": image * 2}


def _run(path: Path, **inputs: Array) -> onepass.Outputs:
    with onepass.load(path) as session:
        return session(inputs)


def _example() -> dict[str, Array]:
    return {"image": IMAGE, "scale": np.full((1, 1), 2, np.float32)}


def _program(path: Path, module: Any, *args: Any, **how: Any) -> Path:
    torch.export.save(torch.export.export(module.eval(), args, strict=False, **how), path)
    return path


def _script(path: Path, make: Callable[[], Any]) -> Path:
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        make().save(str(path))
    return path


# ---- modules ---------------------------------------------------------------------------------------------------------


def test_names_come_from_the_structure(tmp_path: Path) -> None:
    """A dataclass with a list and a dict in it gives names like `masks.0`, in its order; None is no output."""
    done = converted(Detector(), tmp_path / "m.onnx", example_inputs=_example())
    assert done.signature.output_names == (
        "boxes", "masks.0", "masks.1", "more.label", "more.image", "more.features", "more.anchors")  # fmt: skip
    assert done.signature.input_names == ("image", "scale")
    assert [str(spec.dtype) for spec in done.signature.outputs] == [
        "float32", "float32", "bool", "int64", "float32", "float32", "float32"]  # fmt: skip


def test_values_are_the_networks_in_evaluation(tmp_path: Path) -> None:
    """A network that is in training is converted as for evaluation, and is in training again afterwards."""
    network = Detector().train()
    network.trunk[1].eval()
    converted(network, tmp_path / "m.onnx", example_inputs=_example())
    assert [part.training for part in network.modules()] == [True, True, True, False, True, True, True]
    found = _run(tmp_path / "m.onnx", **_example())
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(IMAGE), torch.tensor([[2.0]]))
    np.testing.assert_allclose(found["boxes"], expected.boxes, atol=1e-5)
    np.testing.assert_array_equal(found["masks.1"], expected.masks[1])
    np.testing.assert_array_equal(found["more.image"], IMAGE)
    np.testing.assert_array_equal(found["more.anchors"], network.anchors)


def test_names_of_ones_own(tmp_path: Path) -> None:
    """A bare tuple has no names, so they can be given."""

    class Two(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x + 1, x * 2

    x = np.ones((2, 3), np.float32)
    plain = converted(Two(), tmp_path / "m.onnx", example_inputs=x)
    assert plain.signature.output_names == ("output.0", "output.1")
    named = converted(Two(), tmp_path / "m.onnx", example_inputs=x, output_names=["sum", "product"])
    assert named.signature.output_names == ("sum", "product")


@pytest.mark.parametrize("batch", [1, 2])
def test_dynamic_sizes(tmp_path: Path, batch: int) -> None:
    """Sizes that may change have their names in inputs and outputs, and do change, also when the example has one."""
    done = converted(
        Detector(), tmp_path / "m.onnx", example_inputs=(IMAGE[:batch], np.ones((batch, 1), np.float32)),
        dynamic={"image": {0: "N", -2: "H", 3: "W"}, "scale": {0: "N"}},
    )  # fmt: skip
    shapes = {spec.name: spec.shape for spec in (*done.signature.inputs, *done.signature.outputs)}
    assert shapes["image"] == shapes["more.image"] == ("N", 3, "H", "W")
    assert shapes["boxes"] == ("N", 5)
    assert shapes["more.label"] == ("N",)
    assert shapes["more.anchors"] == (2, 3)
    image = np.zeros((5, 3, 11, 6), np.float32)
    assert _run(tmp_path / "m.onnx", image=image, scale=np.ones((5, 1), np.float32))["masks.0"].shape == (5, 4, 11, 6)


def test_sizes_made_of_others(tmp_path: Path) -> None:
    """A size that is computed from another one says so."""

    class Twice(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return {"twice": torch.cat([x, x]), "positive": x[x > 0]}

    done = converted(
        Twice(), tmp_path / "m.onnx", example_inputs={"x": np.ones(4, np.float32)}, dynamic={"x": {0: "N"}}
    )
    assert [spec.shape for spec in done.signature.outputs] == [("2*N",), (None,)]


def test_nested_inputs(tmp_path: Path) -> None:
    """Inputs in lists and dicts, and those of *args and **kwargs, have names from there too; plain values stay."""

    class Many(torch.nn.Module):
        def forward(self, first: Any, pyramid: Any, *rest: Any, power: int = 1, **more: Any) -> Any:
            return {"sum": first**power + sum(pyramid) + sum(rest) + more["last"]}

    x = np.full(3, 2, np.float32)
    done = converted(Many(), tmp_path / "m.onnx", example_inputs={"first": x, "pyramid": [x, x], "power": 3, "last": x})
    assert done.signature.input_names == ("first", "pyramid.0", "pyramid.1", "last")
    found = _run(tmp_path / "m.onnx", **dict.fromkeys(done.signature.input_names, x))
    np.testing.assert_array_equal(found["sum"], x**3 + 3 * x)


def test_outputs_with_the_names_of_inputs(tmp_path: Path) -> None:
    """An output called like an input keeps that name if it is that input, and gets another one if it is not."""

    class Same(torch.nn.Module):
        def forward(self, x: Any, y: Any, w: Any) -> Any:
            return {"x": x, "y": y + 1, "z": y, "w": w.add_(1)}

    inputs = {"x": np.ones(3, np.float32), "y": np.zeros(3, np.float32), "w": np.ones(3, np.float32)}
    done = converted(Same(), tmp_path / "m.onnx", example_inputs=inputs)
    assert done.signature.output_names == ("x", "y_out", "z", "w_out")
    found = _run(tmp_path / "m.onnx", **inputs)
    assert [array.tolist() for array in found.values()] == [[1] * 3, [1] * 3, [0] * 3, [2] * 3]


def test_whole_numbers_as_inputs(tmp_path: Path) -> None:
    """The inputs that parity is judged on keep to the range of the example, so that an embedding has them all."""
    network = torch.nn.Sequential(torch.nn.Embedding(3, 4))
    done = converted(network, tmp_path / "m.onnx", example_inputs=np.array([[0, 1, 2]]), dynamic={"input": {0: "N"}})
    assert done.errors


def test_an_opset_that_pytorch_does_not_write(tmp_path: Path) -> None:
    """Opset 18 comes unasked; an older one is made of it and means the same; a newer one is written as such."""
    for asked, found in ((None, 18), (17, 17), (21, 21)):
        done = converted(Detector(), tmp_path / "m.onnx", example_inputs=_example(), opset=asked)
        assert OnnxGraph.load(tmp_path / "m.onnx").opset == found
        assert done.errors


def test_an_opset_without_the_operator(tmp_path: Path) -> None:
    """An operator that is younger than the opset asked for is refused, never changed."""

    class Mish(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.bitwise_and(3)

    with pytest.raises(UnsupportedModelError, match="does not exist in opset 17; use opset 18"):
        converted(Mish(), tmp_path / "m.onnx", example_inputs=np.arange(3), opset=17)
    assert not (tmp_path / "m.onnx").exists()


def test_the_exporter_leaves_no_traces(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is printed or logged, loggers are as they were, and no path or line of the code is in the file."""
    before = logging.getLogger("torch.onnx").level
    converted(Detector(), tmp_path / "m.onnx", example_inputs=_example(), opset=17)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert logging.getLogger("torch.onnx").level == before
    data = (tmp_path / "m.onnx").read_bytes()
    assert __file__.encode() not in data
    assert b"self.trunk" not in data


class Ranking(torch.nn.Module):
    """The best places of a map, as detectors choose them; all are equal where the input is constant."""

    def forward(self, image: Any) -> Any:
        """Return scores and places of the five best pixels of each row of channels."""
        scores, places = image.mean(1).flatten(1).topk(5)
        return {"scores": scores, "places": places, "spread": image.std((2, 3)), "order": image.sum((2, 3)).argsort(1)}


class Encoder(torch.nn.Module):
    """A transformer with a mask."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(11, 16)
        layer = torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.layers = torch.nn.TransformerEncoder(layer, 1)

    def forward(self, tokens: Any, padding: Any) -> Any:
        """Return a vector for each token, and their mean."""
        states = self.layers(self.table(tokens), src_key_padding_mask=padding)
        return {"states": states, "pooled": states.mean(1)}


class Recurrent(torch.nn.Module):
    """An LSTM."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.LSTM(4, 6, batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return outputs [N, T, 6] and the last states."""
        return self.layers(x)  # type: ignore[no-any-return, unused-ignore]


def test_networks_of_many_kinds(tmp_path: Path) -> None:
    """Choosing among equals, masks, tables and changing lengths agree with PyTorch."""
    done = converted(Ranking(), tmp_path / "m.onnx", example_inputs=IMAGE, dynamic={"image": {0: "N", 2: "H"}})
    assert done.signature.outputs[0].shape == ("N", 5)
    tokens, padding = np.array([[1, 10, 3], [4, 0, 6]]), np.array([[False, False, True], [False, True, True]])
    done = converted(
        Encoder(), tmp_path / "m.onnx", example_inputs=(tokens, padding),
        dynamic={"tokens": {0: "N", 1: "T"}, "padding": {0: "N", 1: "T"}},
    )  # fmt: skip
    assert done.signature.outputs[0].shape == ("N", "T", 16)


def test_a_length_that_tracing_keeps(tmp_path: Path) -> None:
    """torch.export fixes an LSTM's length, and the message says so; traced, the LSTM keeps it."""
    x, dynamic, jit = np.zeros((2, 5, 4), np.float32), {"x": {0: "N", 1: "T"}}, cast("Any", torch.jit)
    network = Recurrent().eval()
    with pytest.raises(InputError, match=r"cannot make this size dynamic: T \(axis 1 of x\)"):
        converted(network, tmp_path / "m.onnx", example_inputs=x, dynamic=dynamic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and warns of an LSTM's checks
        traced = jit.trace(network, torch.from_numpy(x), strict=False)
    done = converted(traced, tmp_path / "m.onnx", example_inputs=x, dynamic=dynamic)
    assert [spec.shape for spec in done.signature.outputs] == [("N", "T", 6), (1, "N", 6), (1, "N", 6)]


# ---- what is refused -------------------------------------------------------------------------------------------------


class Odd(torch.nn.Module):
    """Gives what the test puts there."""

    def __init__(self, give: Callable[[Any], Any]) -> None:
        super().__init__()
        self.give = give

    def forward(self, x: Any) -> Any:
        """Give it."""
        return self.give(x)


@pytest.mark.parametrize(
    ("give", "kind", "words"),
    [
        (
            lambda x: {"y": x, "count": 3},
            UnsupportedModelError,
            "output 'count' of the given Odd: expected a tensor, got int",
        ),
        (lambda x: {"a.b": x, "a": {"b": x}}, UnsupportedModelError, "two outputs with the same name 'a.b'"),
        (lambda x: None, UnsupportedModelError, "returns no tensor"),
        (lambda x: x.to_sparse(), UnsupportedModelError, "got float32, torch.sparse_coo"),
        (lambda x: x @ x, InputError, r"does not run on the example inputs \(\[2, 3\]\): RuntimeError"),
        (lambda x: x if x.sum() > 0 else -x, UnsupportedModelError, "torch.export cannot trace the given Odd"),
    ],
)
def test_odd_networks(tmp_path: Path, give: Callable[[Any], Any], kind: type[Exception], words: str) -> None:
    """What cannot be converted is refused by name, with the reason, and nothing is written."""
    with pytest.raises(kind, match=words):
        converted(Odd(give), tmp_path / "m.onnx", example_inputs=np.ones((2, 3), np.float32))
    assert not list(tmp_path.iterdir())


def test_an_operator_without_a_form_in_onnx(tmp_path: Path) -> None:
    """An operator of one's own is named."""

    @torch.library.custom_op("onepass_tests::secret", mutates_args=())
    def secret(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    secret.register_fake(torch.empty_like)
    with pytest.raises(UnsupportedModelError, match=r"uses onepass_tests\.secret, which PyTorch cannot export"):
        converted(Odd(secret), tmp_path / "m.onnx", example_inputs=np.ones(3, np.float32))


def test_a_size_that_cannot_change(tmp_path: Path) -> None:
    """A size that the network has fixed is named when it is asked to change."""
    with pytest.raises(InputError, match=r"cannot make this size dynamic: N \(axis 0 of x\)"):
        converted(
            Odd(lambda x: x.reshape(2, 3) + torch.ones(2, 3)), tmp_path / "m.onnx",
            example_inputs=np.ones((2, 3), np.float32), dynamic={"x": {0: "N"}},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("dynamic", "words"),
    [({"y": {0: "N"}}, "no input 'y'.*inputs are: x"), ({"x": {2: "N"}}, "input 'x' has no axis 2; its 2 axes")],
)
def test_changing_sizes_that_are_not_there(tmp_path: Path, dynamic: Any, words: str) -> None:
    """An input or an axis that is not there is refused, not ignored."""
    with pytest.raises(InputError, match=words):
        converted(Odd(lambda x: x), tmp_path / "m.onnx", example_inputs=np.ones((2, 3), np.float32), dynamic=dynamic)


def test_example_inputs_are_needed(tmp_path: Path) -> None:
    """A module does not know its inputs' shapes, and the message shows how to give them."""
    with pytest.raises(InputError, match=r"example_inputs=\(image,\)"):
        converted(Detector(), tmp_path / "m.onnx")
    with pytest.raises(InputError, match="missing a required argument: 'scale'"):
        converted(Detector(), tmp_path / "m.onnx", example_inputs=IMAGE)


def test_what_is_no_network(tmp_path: Path) -> None:
    """Any other object is refused by its type, PyTorch's own included."""
    with pytest.raises(InputError, match="the given Tensor is not a network"):
        converted(torch.ones(3), tmp_path / "m.onnx")
    with pytest.raises(InputError, match="an object of type dict is not a network"):
        converted({"weight": IMAGE}, tmp_path / "m.onnx")


# ---- files -----------------------------------------------------------------------------------------------------------


def test_an_exported_program(tmp_path: Path) -> None:
    """A .pt2 file needs no example inputs: it has them, and its changing sizes."""

    class Nested(torch.nn.Module):
        def forward(self, image: Any, others: Any, *, more: Any, scale: Any) -> Any:
            return {
                "mean": image.mean((2, 3)) * scale,
                "sums": (others[0] + others[1], None),
                "image": image,
                "rows": more,
            }

    n, length, rows = (torch.export.Dim(name) for name in ("n", "length", "rows"))
    image, other = torch.from_numpy(IMAGE), torch.ones(4)
    source = _program(
        tmp_path / "m.pt2", Nested(), image, [other, other + 1],
        kwargs={"scale": torch.ones(1), "more": torch.ones(5, 2)},
        dynamic_shapes={"image": {0: n}, "others": [{0: length}, {0: length}], "scale": None, "more": {0: rows}},
    )  # fmt: skip
    done = converted(source, tmp_path / "m.onnx")
    assert done.framework == f"PyTorch {torch.__version__}"
    assert {spec.name: spec.shape for spec in done.signature.inputs} == {
        "image": ("N", 3, 8, 8), "others.0": ("others.0_0",), "others.1": ("others.0_0",),
        "more": ("more_0", 2), "scale": (1,)}  # fmt: skip
    assert {spec.name: spec.shape for spec in done.signature.outputs} == {
        "mean": ("N", 3), "sums.0": ("others.0_0",), "image": ("N", 3, 8, 8), "rows": ("more_0", 2)}  # fmt: skip
    ones = np.ones(9, np.float32)
    inputs = {"image": IMAGE[:1], "others.0": ones, "others.1": ones, "scale": ones[:1], "more": ones[:2].reshape(1, 2)}
    found = _run(tmp_path / "m.onnx", **inputs)
    np.testing.assert_array_equal(found["sums.0"], np.full(9, 2))


def test_a_program_in_memory(tmp_path: Path) -> None:
    """An exported program need not be saved first; it takes no other inputs than those it was exported with."""
    program = torch.export.export(Heads(), (torch.from_numpy(IMAGE),))
    done = converted(program, tmp_path / "m.onnx", outputs=["double"])
    assert done.signature.output_names == ("double",)
    with pytest.raises(InputError, match="omit example_inputs and dynamic"):
        converted(program, tmp_path / "m.onnx", example_inputs=IMAGE)


@pytest.mark.parametrize("make", ["trace", "script"])
def test_torchscript(tmp_path: Path, make: str) -> None:
    """TorchScript's dicts keep their names, and its sizes change, whichever way it was made."""
    network, jit = Heads().eval(), cast("Any", torch.jit)
    source = _script(
        tmp_path / "m.pt",
        lambda: (
            torch.jit.script(network) if make == "script" else jit.trace(network, torch.from_numpy(IMAGE), strict=False)
        ),
    )
    done = converted(source, tmp_path / "m.onnx", example_inputs={"image": IMAGE}, dynamic={"image": {0: "N"}})
    assert {spec.name: spec.shape for spec in done.signature.outputs} == {"mean": ("N", 3), "double": ("N", 3, 8, 8)}
    image = np.ones((5, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(_run(tmp_path / "m.onnx", image=image)["double"], 2 * image)


def test_torchscript_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Examples and changing sizes can be given as words, and what is wrong with them is told."""
    source = _script(tmp_path / "m.pt", lambda: torch.jit.script(Heads()))
    np.save(tmp_path / "x.npy", IMAGE)
    shell = Shell(capsys)
    out = shell("convert", source, "--example", tmp_path / "x.npy", "--dynamic", "image:0=N", "-o", tmp_path / "m.onnx",
                "--trust")  # fmt: skip
    assert re.search(r"double +float32 +\[N, 3, 8, 8\] +exact", out)
    assert "expected INPUT:AXIS=NAME" in shell.fails("convert", source, "--dynamic", "image=N")
    words = ["--example", tmp_path / "x.npy", "--example", f"y={tmp_path / 'x.npy'}"]
    assert "only some examples have names" in shell.fails("convert", source, *words)
    assert "file not found" in shell.fails("convert", source, "--example", tmp_path / "absent.npy")


def test_torchscript_with_branches(tmp_path: Path) -> None:
    """What scripting kept of control flow is kept: the branch is taken when the model runs."""

    class Branch(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = x * 2 if bool(x.sum() > 0) else x - 1
            return y, x

    source = _script(tmp_path / "m.pt", lambda: torch.jit.script(Branch()))
    converted(source, tmp_path / "m.onnx", example_inputs=(np.ones(3, np.float32),), opset=21)
    x = np.array([-1, -2, -3], np.float32)
    np.testing.assert_array_equal(_run(tmp_path / "m.onnx", x=x)["output.0"], x - 1)


def test_torchscript_needs_examples(tmp_path: Path) -> None:
    """A TorchScript file does not know its inputs' shapes either."""
    source = _script(tmp_path / "m.pt", lambda: torch.jit.script(Heads()))
    with pytest.raises(InputError, match="does not contain the shapes of its inputs"):
        converted(source, tmp_path / "m.onnx")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("what", ["weights", "module"])
def test_pickles_are_refused(tmp_path: Path, what: str, *, legacy: bool) -> None:
    """Weights alone, and pickled modules, are refused with what to do instead, and are not unpickled."""
    network = Heads()
    path = tmp_path / "m.pt"
    torch.save(
        network if what == "module" else {"weight": torch.ones(2)}, path, _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(UnsupportedModelError, match=r"load_state_dict\(torch\.load\(path, weights_only=True\)\)"):
        converted(path, tmp_path / "m.onnx")


@pytest.mark.parametrize("ending", [".pt2", ".pt"])
def test_damaged_files(tmp_path: Path, ending: str) -> None:
    """A file that was cut short, or changed, is called damaged."""
    path = tmp_path / f"m{ending}"
    if ending == ".pt2":
        _program(path, Heads(), torch.from_numpy(IMAGE))
    else:
        _script(path, lambda: torch.jit.script(Heads()))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFormatError, match="truncated or corrupt"):
        converted(path, tmp_path / "m.onnx")
    with zipfile.ZipFile(io.BytesIO(data)) as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, b"\xff" if name.endswith((".py", "/model.json")) else good.read(name))
    with pytest.raises(ModelFormatError, match="It is damaged, or from another version"):
        converted(path, tmp_path / "m.onnx", example_inputs=IMAGE if ending == ".pt" else None)


class _Evil:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._file,)


@pytest.mark.parametrize("member", ["sample_inputs", "weights_config", "constants_config"])
def test_pickled_code_in_an_archive(member: str, tmp_path: Path, in_this_process: None) -> None:
    """An exported program that holds a pickle, for its sample inputs, a weight or a constant, is refused."""
    good, bad, mark = tmp_path / "good.pt2", tmp_path / "bad.pt2", tmp_path / "it ran"
    torch.export.save(torch.export.export(torch.nn.Linear(4, 2).eval(), (torch.zeros(2, 4),)), good)
    pickled = io.BytesIO()
    torch.save(_Evil(mark), pickled)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        root = source.namelist()[0].partition("/")[0]
        for name in source.namelist():
            data = source.read(name)
            if member == "sample_inputs" and member in name:
                data = pickled.getvalue()
            elif name.endswith(f"{member}.json") and member == "weights_config":
                data = data.replace(b'"use_pickle": false', b'"use_pickle": true').replace(b":false", b":true")
            elif name.endswith(f"{member}.json"):
                payload = b'{"path_name": "opaque_obj_0", "is_param": false, "use_pickle": true, "tensor_meta": null}'
                data = b'{"config": {"c": ' + payload + b"}}"
            elif "weights/weight_" in name and member == "weights_config":
                data = pickled.getvalue()
            target.writestr(name, data)
        if member == "constants_config":
            target.writestr(f"{root}/data/constants/opaque_obj_0", pickle.dumps(_Evil(mark)))
    with pytest.raises(ModelFormatError, match=r"refused .* contains pickled Python objects"):
        converted(bad, tmp_path / "out.onnx")
    assert not mark.exists()
    assert converted(good, tmp_path / "out.onnx").signature.output_names == ("output",)
