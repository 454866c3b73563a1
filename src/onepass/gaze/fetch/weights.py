"""GazeML's trained weights, fetched from its authors and made into ONNX models.

They are ETH Zurich's, under the MIT licence (https://github.com/swook/GazeML), and come as in its
``get_trained_weights.bash``: two archives with TensorFlow's checkpoints. The hash of an archive is noted when it is
first fetched, and whatever comes under its name afterwards must have the same.
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
"""Names of the networks (width x height of a crop, of a heatmap; features, modules) and where their archives are."""


def weights_folder() -> Path:
    """Return where fetched weights are kept; it may not be there yet."""
    return user_cache("gazeml-weights")


def path_of(name: str) -> Path:
    """Return the path of a network's ONNX model; there may be nothing yet."""
    return weights_folder() / f"{name}.onnx"


def fetch(name: str, archive: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> Path:
    """Fetch weights, unpack them and convert them. What is here already stays.

    Args:
        name: One of `GAZEML_WEIGHTS`.
        archive: The archive as a file, for a machine without a network; None fetches it.
        progress: Is told how many bytes are here, and how many there will be, if the server says so.

    Returns:
        The path of the ONNX model, which `GazeEstimator` takes.

    Raises:
        InputError: There are no weights of that name.
        ModelNotFoundError: There is no network or no such file; what has come is kept, and the next try goes on.
        ModelFormatError: The archive is not the one that was first fetched, is damaged, or tries to unpack elsewhere.
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
                source.unlink(missing_ok=True)  # whatever is wrong with it, the next try fetches it again
            raise
    return model


def _sweep(folder: Path, name: str) -> None:
    """Remove what somebody who was stopped halfway has left; whoever has the lock is alone here."""
    for left in folder.glob(f".{name}.*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _install(archive: Path, name: str, folder: Path) -> None:
    """Unpack an archive and convert what is in it; note its hash if that went well for the first time."""
    if not archive.is_file():
        raise ModelNotFoundError(f"there is no file {archive}; expected {name}.zip")
    note, found = folder / f"{name}.zip.sha256", sha256_of(archive)
    known = note.read_text(encoding="ascii", errors="replace").split(" ")[0] if note.is_file() else found
    if known != found:
        raise ModelFormatError(
            f"{archive} is another file than the one that came first: sha256 {known} expected, got {found}. It was not "
            f"used. If its authors have changed it, remove {note}"
        )
    unpack(archive, folder / name)
    inner = folder / name / name  # GazeML's archives have one folder in them
    with replacing(path_of(name)) as temporary:
        convert(inner if inner.is_dir() else folder / name, temporary)
    with replacing(note) as temporary:
        temporary.write_text(f"{found}  {name}.zip\n", encoding="ascii")
