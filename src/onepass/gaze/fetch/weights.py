"""Fetch GazeML's trained weights from its authors and convert them to ONNX models.

They are ETH Zurich's, under the MIT licence (https://github.com/swook/GazeML): the two archives with TensorFlow
checkpoints that GazeML's ``get_trained_weights.bash`` downloads. The hash of an archive is recorded when it is first
fetched, and later downloads must match it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from onepass._errors import InputError, ModelError, ModelFormatError, ModelNotFoundError
from onepass.artifacts import replacing, sha256_of, user_cache
from onepass.gaze.fetch._download import Progress, download
from onepass.gaze.fetch._unpack import unpack
from onepass.source import convert
from onepass.tensors import no_such_name

_SITE = "https://ait.ethz.ch/projects/2018/landmarks-gaze/downloads"
GAZEML_WEIGHTS: Mapping[str, str] = {
    name: f"{_SITE}/{name}.zip" for name in ("ELG_i60x36_f60x36_n32_m2", "ELG_i180x108_f60x36_n64_m3")
}
"""Names of the networks (width x height of a crop, of a heatmap; features, modules) and URLs of their archives."""


def weights_folder() -> Path:
    """Return the folder of fetched weights; it may not exist yet."""
    return user_cache("gazeml-weights")


def path_of(name: str) -> Path:
    """Return the path of a network's ONNX model; the file may not exist yet."""
    return weights_folder() / f"{name}.onnx"


def fetch(name: str, archive: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> Path:
    """Fetch weights, unpack them and convert them. An existing model is kept.

    Args:
        name: One of `GAZEML_WEIGHTS`.
        archive: Path of the downloaded archive, for machines without network access; None downloads it.
        progress: Called with the number of bytes received, and the total size if the server states it.

    Returns:
        The path of the ONNX model, for `GazeEstimator`.

    Raises:
        InputError: The name is unknown.
        ModelNotFoundError: The download failed, or `archive` does not exist. A partial download is kept and resumed.
        ModelFormatError: The archive differs from the one first fetched, is damaged, or contains unsafe paths.
        ConversionError: See `onepass.convert`.
    """
    if name not in GAZEML_WEIGHTS:
        raise InputError(no_such_name("weights", name, tuple(GAZEML_WEIGHTS)))
    folder, model = weights_folder(), path_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        _sweep(folder, name)
        if model.is_file() and archive is None:
            return model
        if archive is None:
            source = folder / f"{name}.zip"
            if not source.is_file():
                download(GAZEML_WEIGHTS[name], source, progress=progress)
        else:
            source = Path(archive)
        try:
            _install(source, name, folder)
        except ModelError:
            if archive is None:
                source.unlink(missing_ok=True)  # the next attempt downloads it again
            raise
    return model


def _sweep(folder: Path, name: str) -> None:
    """Remove files left over by an interrupted process; the caller holds the lock."""
    for left in folder.glob(f".{name}.*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _install(archive: Path, name: str, folder: Path) -> None:
    """Unpack an archive and convert its network; record the hash after the first success."""
    if not archive.is_file():
        raise ModelNotFoundError(f"file not found: {archive}; expected {name}.zip")
    note, found = folder / f"{name}.zip.sha256", sha256_of(archive)
    known = note.read_text(encoding="ascii", errors="replace").split(" ")[0] if note.is_file() else found
    if known != found:
        raise ModelFormatError(
            f"{archive} differs from the archive that was first fetched: sha256 {known} expected, got {found}. It was "
            f"not used. If the authors have changed it, remove {note}"
        )
    unpack(archive, folder / name)
    inner = folder / name / name  # GazeML's archives contain a single folder
    with replacing(path_of(name)) as temporary:
        convert(inner if inner.is_dir() else folder / name, temporary)
    with replacing(note) as temporary:
        temporary.write_text(f"{found}  {name}.zip\n", encoding="ascii")
