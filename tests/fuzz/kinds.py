"""The kinds of hostile files: how each is made, what lies beside it, and which calls it must not break."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onepass
from onepass.builder.precision import reduce_precision
from onepass.engine import read_sidecar
from onepass.formats import Format, format_of
from onepass.gaze import Calibration
from onepass.gaze.screen.recording import Recording
from onepass.gaze.screen.unfinished import load_unfinished
from onepass.media import open_source
from tests.fuzz import files, models
from tests.fuzz.harness import Call
from tests.zoo import BY_NAME, model

_X = BY_NAME["three heads"].graph.to_bytes()
_PICTURE_MODEL = model("(float[N, 3, 8, 8] image) => (float[N, 3, 8, 8] y) { y = Relu (image) }").to_bytes()
_ELG = "ELG_i60x36_f60x36_n32_m2"
_RTX = ("--flavor", "tensorrt_rtx", "--batch", "1")


@dataclass(frozen=True)
class Kind:
    """One kind of files.

    Attributes:
        name: Its name, which is that of its folder in the corpus too.
        file: What the hostile file is called.
        make: Makes its content.
        calls: What to do with it, in its folder.
        beside: What lies beside it.
    """

    name: str
    file: str
    make: Callable[[random.Random], bytes]
    calls: Callable[[Path], Sequence[Call]]
    beside: Callable[[], dict[str, bytes]] = dict

    def files(self, data: bytes) -> dict[str, bytes]:
        """Return the hostile file with those beside it."""
        return {**self.beside(), self.file: data}


def _onnx(folder: Path) -> Sequence[Call]:
    return [
        ["inspect", "m.onnx"], ["inspect", "m.onnx", "--json"], ["run", "m.onnx", "--random", "--max-bytes", "100M"],
        _graph, ["convert", "m.onnx", "-o", "c.onnx"], ["build", "m.onnx", "-o", "m.engine", *_RTX],
        ["build", "m.onnx", "-o", "m.engine", "--fp16", "--mark-all-outputs", *_RTX],
    ]  # fmt: skip


def _graph() -> None:
    """Every method of a graph."""
    graph = onepass.OnnxGraph.load("m.onnx")
    outputs = [value.name for value in graph.proto.graph.output]
    for step in (
        lambda: graph.signature, graph.check, lambda: graph.expose(graph.tensor_names),
        lambda: graph.select(outputs[:1]), lambda: graph.rename_outputs({outputs[0]: "renamed"}),
        lambda: graph.save("s.onnx"), graph.clean,
        lambda: reduce_precision(graph, "fp16"), lambda: (graph.size_bytes, graph.parameter_count, graph.metadata),
    ):  # fmt: skip
        try:
            step()
        except onepass.OnepassError:
            continue


def _engine(folder: Path) -> Sequence[Call]:
    return [["inspect", "m.engine"], ["inspect", "m.engine", "--json"], ["run", "m.engine", "--random"], _sidecar]


def _sidecar() -> object:
    return read_sidecar("m.engine")


def _arrays(name: str) -> Callable[[Path], Sequence[Call]]:
    return lambda folder: [
        ["run", "x.onnx", "-i", name], ["run", "x.onnx", "-i", f"x={name}"],
        ["compare", "x.onnx", "x.onnx", "--inputs", "."],
        ["convert", "x.onnx", "-o", "o.onnx", "--example", name],
    ]  # fmt: skip


def _picture(folder: Path) -> Sequence[Call]:
    return [["run", "x.onnx", "-i", "image=picture"], _frames("picture")]


def _frames(name: str) -> Callable[[], object]:
    def frames() -> None:
        with open_source(name) as source:
            for index, _ in enumerate(source):
                if index > 20:
                    break

    return frames


def _screen() -> None:
    for load in (Calibration.load, Recording.load, partial(load_unfinished, setup=files.SETUP)):
        try:
            load("f")
        except onepass.OnepassError:
            continue


def _archive(folder: Path) -> Sequence[Call]:
    try:
        kind = format_of("f")
    except onepass.OnepassError:
        kind = Format.PICKLE
    calls: list[Call] = [["inspect", "f"], ["run", "f", "--random"]]
    # What onepass does not refuse unasked, its framework reads, in an environment of its own.
    return calls if kind is Format.TFLITE else [*calls, ["convert", "f", "-o", "o.onnx"]]


KINDS = (
    Kind("onnx", "m.onnx", models.model, _onnx, lambda: {"w.bin": bytes(64)}),
    Kind("sidecar", "m.engine.json", files.sidecar, _engine, lambda: {"m.engine": b"ptrt" + bytes(60)}),
    Kind("engine", "m.engine", files.engine, _engine),
    Kind("npz", "a.npz", files.npz, _arrays("a.npz"), lambda: {"x.onnx": _X}),
    Kind("npy", "a.npy", files.npy, _arrays("a.npy"), lambda: {"x.onnx": _X}),
    Kind("picture", "picture", files.picture, _picture, lambda: {"x.onnx": _PICTURE_MODEL}),
    Kind("video", "video", files.video, lambda folder: [_frames("video")]),
    Kind("calibration", "f", files.calibration, lambda folder: [_screen]),
    Kind("recording", "f", files.recording, lambda folder: [_screen]),
    Kind("session", "f", files.session, lambda folder: [_screen]),
    Kind("archive", "f", files.archive, _archive),
    Kind(
        "checkpoint", f"{_ELG}/checkpoints/hourglass/model-1.index", files.checkpoint,
        lambda folder: [["convert", _ELG, "-o", "o.onnx"], ["inspect", _ELG]],
        lambda: {f"{_ELG}/checkpoints/hourglass/model-1.data-00000-of-00001": bytes(4000)},
    ),
)  # fmt: skip
"""Every kind, the most read first."""
