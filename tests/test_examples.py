"""The examples run as they stand."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tritonclient import grpc, http

import onepass
import onepass.gaze
from examples import batch, build, detector, gaze_stream, image, live, nms, open_inference
from onepass.media import write_picture
from onepass.serve import Server
from onepass.web import Listening
from tests.media.clips import write_clip


@pytest.fixture
def elg(tmp_path: Path) -> Path:
    """A copy of the smaller bundled network."""
    source = Path(onepass.gaze.__file__).parent / "data" / onepass.gaze.PACKAGED_MODELS["small"]
    return Path(shutil.copy(source, tmp_path / "elg.onnx"))


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> list[str]:
    """Three pictures in a folder of their own."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(3):
        write_picture(folder / f"{index}.png", rng.integers(0, 256, (36, 60, 3), np.uint8))
    return [str(path) for path in sorted(folder.iterdir())]


def test_build(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no TensorRT the example says so, and what to install."""

    def missing(*arguments: object, **options: object) -> None:
        raise onepass.MissingExtraError("TensorRT is needed for engines")

    monkeypatch.setattr(onepass, "build", missing, raising=False)
    build.main(str(tmp_path / "elg.onnx"))
    assert "not built: TensorRT is needed" in capsys.readouterr().out


def test_build_for_real(elg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a TensorRT that builds here, the engine has every output of the network."""
    pytest.importorskip("tensorrt_rtx")
    build.main(str(elg))
    assert capsys.readouterr().out.endswith("elg.engine: heatmaps, landmarks, radius\n")
    assert elg.with_suffix(".engine").stat().st_size > 0


def test_image(elg: Path, pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each picture has every output, from one pass."""
    image.main(str(elg), *pictures)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("landmarks=float32[18, 2]" in line for line in lines)


def test_live(elg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every frame is shown once, in order."""
    live.main(str(elg), "5")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert len(set(lines)) == 6
    assert all("heatmaps" in line for line in lines[:5])


def test_batch(elg: Path, pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Three pictures in batches of two make two files."""
    folder = Path(pictures[0]).parent
    batch.main(str(elg), str(folder), "2")
    assert capsys.readouterr().out.count("->") == 2
    with np.load(folder / "outputs-1.npz") as saved:
        assert saved["landmarks"].shape == (1, 18, 2)


def test_gaze_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each frame of a video has a line for its face, which keeps its number."""
    data = pytest.importorskip("skimage.data", reason="needs scikit-image: pip install '.[demo]'")
    write_clip(tmp_path / "clip.mp4", [data.astronaut()[:300, 100:400]] * 3, sound=None)
    gaze_stream.main(str(tmp_path / "clip.mp4"))
    lines = capsys.readouterr().out.splitlines()
    assert [line[:17] for line in lines] == [f"   0.{index}0 s  face 0" for index in range(3)]


def test_nms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The output has as many rows as boxes remain, none included."""
    nms.main(str(tmp_path / "nms.onnx"))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["2", "1", "0"]


def test_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The best boxes come first, and where there is no engine the example says why."""

    def missing(*arguments: object, **options: object) -> None:
        raise onepass.MissingExtraError("TensorRT is needed for engines")

    monkeypatch.setattr(onepass, "build", missing, raising=False)
    detector.main(str(tmp_path))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("ONNX Runtime: 7 left, classes [1, 0, 1, 1, 1, 0, 0], scores 0.94, 0.86, 0.67, ")
    assert second == "no engine: TensorRT is needed for engines"


def test_open_inference(elg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """NVIDIA's client gets every output of `onepass serve` in every way, equal to a direct call."""
    rng = np.random.default_rng(0)
    eyes = rng.random((1, 1, 36, 60)).astype(np.float32)
    with Server({"elg": elg}, Listening(port=0), grpc_port=0) as server, onepass.load(elg) as session:
        addresses = (server.address.removeprefix("http://"), str(server.grpc_address))
        open_inference.main("elg", *addresses)
        for kind, address in zip((http, grpc), addresses, strict=True):
            outputs = open_inference.ask(kind, address, "elg", {"eye": eyes})
            for name, expected in session(eyes).items():
                np.testing.assert_array_equal(outputs[name], expected, strict=True)
            assert list(outputs) == list(session.signature.output_names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "HTTP",
        "gRPC",
        "HTTP, asyncio",
        "gRPC, asyncio",
        "HTTP, one output",
    ]
    every = "heatmaps=float32[1, 18, 18, 30], landmarks=float32[1, 18, 2], radius=float32[1, 1]"
    assert {line.split(": ")[1] for line in lines[:4]} == {every}


def test_three_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A PyTorch network's heads come back under the names of its dict, for a batch and a size of one's own."""
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-convert has it)")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (make test-convert has it)")
    import_module("examples.three_heads").main(str(tmp_path / "three_heads.onnx"))
    assert "Outputs(mask=float32[5, 1, 24, 40], box=float32[5, 4], label=float32[5, 10])" in capsys.readouterr().out
