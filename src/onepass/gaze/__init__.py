"""Eyelids, irises and gaze of the faces in a picture, with an ELG network; see `GazeEstimator`.

OpenCV and PyAV are imported by what needs them, not by this, and come with ``onepass[gaze]``.
"""

from onepass.gaze.analysis import Analysis
from onepass.gaze.blinks import BlinkDetector
from onepass.gaze.calibration import Calibration, CalibrationError, GazeSample, Screen, calibrate
from onepass.gaze.cascades import CascadeFinder
from onepass.gaze.columns import COLUMNS, Column
from onepass.gaze.confidence import ConfidenceScale
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.dlib_finder import DlibFinder
from onepass.gaze.draw import draw_faces
from onepass.gaze.estimator import GAZE_METHODS, GazeEstimator, GazeMethod
from onepass.gaze.eyes import EyeCrops
from onepass.gaze.faces import FaceFinder, FaceFollower, FoundFace
from onepass.gaze.finders import FINDERS, open_finder
from onepass.gaze.fit import fit_gaze
from onepass.gaze.kappa import KAPPA_DEG, line_of_sight
from onepass.gaze.mesh import MeshFinder
from onepass.gaze.model import PACKAGED_MODELS, open_model
from onepass.gaze.panel import draw_analysis, draw_panel
from onepass.gaze.recording import SAMPLE_COLUMNS, Recording, record
from onepass.gaze.result import Box, Eye, Face
from onepass.gaze.smoothing import OneEuroFilter, Smoothing
from onepass.gaze.stream import StreamResult
from onepass.gaze.tables import TABLE_SUFFIXES, ParquetTable, Table, TextTable, open_table
from onepass.gaze.tracker import GazeTracker

__all__ = [
    "COLUMNS",
    "FINDERS",
    "GAZE_METHODS",
    "KAPPA_DEG",
    "PACKAGED_MODELS",
    "SAMPLE_COLUMNS",
    "TABLE_SUFFIXES",
    "Analysis",
    "BlinkDetector",
    "Box",
    "Calibration",
    "CalibrationError",
    "CascadeFinder",
    "Column",
    "ConfidenceScale",
    "DlibFinder",
    "Eye",
    "EyeCrops",
    "Face",
    "FaceFinder",
    "FaceFollower",
    "FoundFace",
    "Gaze",
    "GazeEstimator",
    "GazeMethod",
    "GazeSample",
    "GazeTracker",
    "HeadPose",
    "MeshFinder",
    "OneEuroFilter",
    "ParquetTable",
    "Recording",
    "Screen",
    "Smoothing",
    "StreamResult",
    "Table",
    "TextTable",
    "calibrate",
    "draw_analysis",
    "draw_faces",
    "draw_panel",
    "fit_gaze",
    "line_of_sight",
    "open_finder",
    "open_model",
    "open_table",
    "record",
]
