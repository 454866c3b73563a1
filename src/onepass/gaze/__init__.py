"""Eyelids, irises and gaze of the faces in a picture, with an ELG network; see `GazeEstimator`.

OpenCV and PyAV are imported by what needs them, not by this, and come with ``onepass[gaze]``.
"""

from onepass.gaze.analysis import Analysis
from onepass.gaze.columns import COLUMNS, Column
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.draw import draw_faces
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.eyes import EyeCrops
from onepass.gaze.faces import CascadeFinder, FaceFinder, FoundFace
from onepass.gaze.model import PACKAGED_MODELS, open_model
from onepass.gaze.panel import draw_analysis, draw_panel
from onepass.gaze.result import Box, Eye, Face
from onepass.gaze.stream import StreamResult
from onepass.gaze.tables import TABLE_SUFFIXES, ParquetTable, Table, TextTable, open_table

__all__ = [
    "COLUMNS",
    "PACKAGED_MODELS",
    "TABLE_SUFFIXES",
    "Analysis",
    "Box",
    "CascadeFinder",
    "Column",
    "Eye",
    "EyeCrops",
    "Face",
    "FaceFinder",
    "FoundFace",
    "Gaze",
    "GazeEstimator",
    "HeadPose",
    "ParquetTable",
    "StreamResult",
    "Table",
    "TextTable",
    "draw_analysis",
    "draw_faces",
    "draw_panel",
    "open_model",
    "open_table",
]
