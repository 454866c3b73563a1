"""Eyelids, irises and gaze of the faces in a picture, with an ELG network; see `GazeEstimator`.

OpenCV is imported by what needs it, not by this, and comes with ``onepass[gaze]``.
"""

from onepass.gaze.analysis import Analysis
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.draw import draw_faces
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.eyes import EyeCrops
from onepass.gaze.faces import CascadeFinder, FaceFinder, FoundFace
from onepass.gaze.model import PACKAGED_MODELS, open_model
from onepass.gaze.panel import draw_analysis, draw_panel
from onepass.gaze.result import Box, Eye, Face

__all__ = [
    "PACKAGED_MODELS",
    "Analysis",
    "Box",
    "CascadeFinder",
    "Eye",
    "EyeCrops",
    "Face",
    "FaceFinder",
    "FoundFace",
    "Gaze",
    "GazeEstimator",
    "HeadPose",
    "draw_analysis",
    "draw_faces",
    "draw_panel",
    "open_model",
]
