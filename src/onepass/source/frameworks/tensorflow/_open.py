"""Open TensorFlow's formats: SavedModels, frozen graphs, and checkpoints with a graph."""

from __future__ import annotations

from pathlib import Path

from onepass.source.framework import Request, Trained
from onepass.source.frameworks.tensorflow._graphs import open_checkpoint, open_frozen
from onepass.source.frameworks.tensorflow._saved_model import open_saved_model


def open_(source: Path, request: Request) -> Trained:
    """Open a SavedModel, a frozen graph, or a checkpoint (its ``.meta`` file, or its folder).

    Raises:
        ModelFormatError: The source is damaged or incomplete.
        InputError: The signature or graph does not exist, or there are several and none was selected.
        OutputNameError: A requested output is not in the graph.
    """
    if source.name == "saved_model.pb":
        source = source.parent  # a SavedModel is the folder, but people pass the file
    if source.is_dir() and (source / "saved_model.pb").is_file():
        return open_saved_model(source, request)
    if source.is_dir() or source.suffix == ".meta":
        return open_checkpoint(source, request)
    return open_frozen(source, request)
