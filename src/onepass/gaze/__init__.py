"""Eyelids, irises and gaze of the faces in a picture, with an ELG network; see `GazeEstimator`.

OpenCV is imported by what needs it, not by this, and comes with ``onepass[gaze]``.
"""

from onepass.gaze.analysis import Analysis
from onepass.gaze.blinks import BlinkDetector
from onepass.gaze.cascades import CascadeFinder
from onepass.gaze.confidence import ConfidenceScale
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.dlib_finder import DlibFinder
from onepass.gaze.draw import draw_faces
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.eyes import EyeCrops
from onepass.gaze.faces import FaceFinder, FaceFollower, FoundFace
from onepass.gaze.finders import FINDERS, open_finder
from onepass.gaze.mesh import MeshFinder
from onepass.gaze.model import PACKAGED_MODELS, open_model
from onepass.gaze.panel import draw_analysis, draw_panel
from onepass.gaze.result import Box, Eye, Face
from onepass.gaze.smoothing import OneEuroFilter, Smoothing
from onepass.gaze.tracker import GazeTracker

__all__ = [
    "FINDERS",
    "PACKAGED_MODELS",
    "Analysis",
    "BlinkDetector",
    "Box",
    "CascadeFinder",
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
    "GazeTracker",
    "HeadPose",
    "MeshFinder",
    "OneEuroFilter",
    "Smoothing",
    "draw_analysis",
    "draw_faces",
    "draw_panel",
    "open_finder",
    "open_model",
]
