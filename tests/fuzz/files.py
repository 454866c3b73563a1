"""Hostile files of every kind but ONNX: sound ones, made on the spot, with fields that lie and bytes spoiled."""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from onepass.gaze import calibrate
from onepass.gaze.screen.recording import Recording
from onepass.gaze.screen.rows import SAMPLE_COLUMNS
from onepass.gaze.screen.unfinished import Setup, save_unfinished
from onepass.media import write_picture
from tests.fuzz.mutate import INTERESTING, TEXTS, spoiled
from tests.gaze.test_calibration import SCREEN, Person
from tests.media.clips import flat_pictures, write_clip
from tests.source.bundles import write_bundle

_SIDECAR = Path(__file__).parents[1] / "engine" / "sidecars" / "v1.1.json"
_RECORDING = "\n".join(
    [",".join(SAMPLE_COLUMNS[:4]), *(f"{x},{y},0.1,{x / 1000}" for x in (0, 900, 1800) for y in (0, 500, 1000))]
)
SETUP = Setup("camera:0", SCREEN, 9, "elg.onnx 0123", "closed", "mesh")
"""What a session was recorded with."""

_MEMBERS = (
    "config.json", "model.weights.h5", "metadata.json", "a/data.pkl", "a/byteorder", "a/code/__torch__.py",
    "a/version",
    "a/models/model.json", "serialized_exported_program.json", "../../x", "/etc/x", "a\x1b[2J", "x" * 300,
)  # fmt: skip
_MARKS = (
    b"ptrt", b"vtrt", b"\0\0\0\0ORTM", b"\x89HDF\r\n\x1a\n", b"\x80\x04", b"\x0a\x03\x0a\x01x",
    b"\x08\x01\x12\x02\x0a\x00",
    b"PK\x03\x04", b"version https://git-lfs", b"\xff" * 12, b"",
)  # fmt: skip


def sidecar(rng: random.Random) -> bytes:
    """A sidecar, as one of a minor version before wrote it, with values exchanged."""
    return _json(rng, json.loads(_SIDECAR.read_text()))


def calibration(rng: random.Random) -> bytes:
    """What ``gaze calibrate`` writes."""
    return _json(rng, json.loads(_calibration()))


@cache
def _calibration() -> bytes:
    samples, targets = Person().session(5, 4)
    with tempfile.TemporaryDirectory() as folder:
        calibrate(samples, targets, SCREEN).save(Path(folder, "c.json"))
        return Path(folder, "c.json").read_bytes()


def recording(rng: random.Random) -> bytes:
    """A table of samples, with cells exchanged."""
    rows = [row.split(",") for row in _RECORDING.splitlines()]
    for _ in range(rng.randrange(4)):
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = rng.choice((*TEXTS, "nan", "inf", "1e400", "-1e308", '"'))
    data = "\n".join(map(",".join, rows)).encode()
    return spoiled(rng, data) if rng.random() < 0.5 else data


def session(rng: random.Random) -> bytes:
    """What ``gaze calibrate`` keeps of a session that was broken off."""
    return _json(rng, json.loads(_session()))


@cache
def _session() -> bytes:
    samples, targets = Person().session(5, 2)
    with tempfile.TemporaryDirectory() as folder:
        save_unfinished(Path(folder, "s.json"), SETUP, Recording(tuple(samples[:6]), targets[:6]))
        return Path(folder, "s.json").read_bytes()


def _json(rng: random.Random, value: Any) -> bytes:
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        _exchange(rng, value)
    data = json.dumps(value).encode()
    what = rng.random()
    if what < 0.1:
        return b"[" * 100_000
    if what < 0.15:
        return data.replace(b"1", b"1" * 5000, 1)
    return spoiled(rng, data) if what < 0.5 else data


def _exchange(rng: random.Random, value: Any) -> None:
    """Put something else in the place of one value, somewhere inside."""
    if not isinstance(value, (dict, list)) or not value:
        return
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    if isinstance(value[key], (dict, list)) and value[key] and rng.random() < 0.7:
        _exchange(rng, value[key])
    elif isinstance(value, dict) and rng.random() < 0.2:
        del value[key]
    else:
        deep: list[Any] = []
        for _ in range(200):
            deep = [deep]
        others: tuple[Any, ...] = (None, True, -1, 0.5, float("nan"), float("inf"), [], {}, deep, [[1]], {"a": 1})
        value[key] = rng.choice((*others, *INTERESTING, *TEXTS))


def engine(rng: random.Random) -> bytes:
    """Bytes that begin as an engine, or as nearly anything else."""
    return rng.choice(_MARKS) + rng.randbytes(rng.choice((0, 3, 60, 4000)))


def npy(rng: random.Random) -> bytes:
    """One array: right, or with a header that lies."""
    array = rng.choice((np.zeros((2, 4), np.float32), np.ones(3), np.zeros((0, 4), np.float32), np.array(["a"])))
    file = io.BytesIO()
    np.save(file, array)
    data = file.getvalue()
    if rng.random() < 0.5:
        shape = rng.choice(
            ("(2, 4)", "(1000000000, 4)", "(-1, 4)", "()", "(2**70,)", "((((1))))", "(" * 500, "(True, 4)", "None")
        )
        descr = rng.choice(
            ("'<f4'", "'|O'", "'<f8'", "'|V1000000000'", "[('a','<f4')]", "'<U1000000'", "7", "'<M8[s]'")
        )
        header = f"{{'descr': {descr}, 'fortran_order': {rng.choice(('False', 'True', '1'))}, 'shape': {shape}, }}\n"
        data = (
            b"\x93NUMPY"
            + bytes([rng.choice((1, 2, 3, 9)), 0])
            + struct.pack("<H", len(header))
            + header.encode()
            + bytes(32)
        )
    return spoiled(rng, data) if rng.random() < 0.3 else data


def npz(rng: random.Random) -> bytes:
    """Several arrays in an archive of any compression."""
    file = io.BytesIO()
    kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name in dict.fromkeys(
            rng.choices(("x.npy", "y.npy", "x", "../x.npy", "\x1b[2J.npy", ".npy"), k=rng.randrange(4))
        ):
            archive.writestr(name, npy(rng))
    data = file.getvalue()
    if rng.random() < 0.2:
        data = data.replace(b"\x08\x00", b"\x63\x00").replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
    return spoiled(rng, data) if rng.random() < 0.5 else data


@cache
def _pictures() -> tuple[bytes, ...]:
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"a{ending}") for ending in (".jpg", ".png", ".webp", ".bmp", ".tif")]
        for path in paths:
            write_picture(path, noise)
        return tuple(path.read_bytes() for path in paths)


def picture(rng: random.Random) -> bytes:
    """A picture of one of five formats, spoiled."""
    return spoiled(rng, rng.choice(_pictures()))


@cache
def _clips() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"a{ending}") for ending in (".mp4", ".mkv", ".avi")]
        for path in paths:
            write_clip(path, flat_pictures(6), codec="mpeg4")
        return tuple(path.read_bytes() for path in paths)


def video(rng: random.Random) -> bytes:
    """A video in one of three containers, spoiled."""
    return spoiled(rng, rng.choice(_clips()))


def archive(rng: random.Random) -> bytes:
    """What a framework may have written, as far as a first look goes."""
    if rng.random() < 0.3:
        return engine(rng)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        for name in dict.fromkeys(rng.choices(_MEMBERS, k=rng.randrange(1, 5))):
            members.writestr(name, rng.choice((b"", b"x", b"{}", b"[" * 2000, rng.randbytes(50))))
    data = file.getvalue()
    return spoiled(rng, data) if rng.random() < 0.4 else data


def checkpoint(rng: random.Random) -> bytes:
    """The index of a TensorFlow checkpoint, as GazeML's weights have one."""
    return spoiled(rng, _index())


@cache
def _index() -> bytes:
    arrays = {"hourglass/a": np.zeros((2, 3), np.float32), "hourglass/b": np.ones(4, np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        return write_bundle(Path(folder, "model-1"), arrays).with_name("model-1.index").read_bytes()
