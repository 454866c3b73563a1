"""Find eyelids, irises and gaze of faces in pictures with an ELG network; see `GazeEstimator`.

OpenCV and PyAV come with the extra ``gaze``, and are imported on first use.
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.gaze.analysis import Analysis as Analysis
    from onepass.gaze.confidence import ConfidenceScale as ConfidenceScale
    from onepass.gaze.directions import Gaze as Gaze
    from onepass.gaze.directions import HeadPose as HeadPose
    from onepass.gaze.estimator import GazeEstimator as GazeEstimator
    from onepass.gaze.eyes import EyeCrops as EyeCrops
    from onepass.gaze.find.cascades import CascadeFinder as CascadeFinder
    from onepass.gaze.find.dlib_finder import DlibFinder as DlibFinder
    from onepass.gaze.find.faces import FaceFinder as FaceFinder
    from onepass.gaze.find.faces import FaceFollower as FaceFollower
    from onepass.gaze.find.faces import FoundFace as FoundFace
    from onepass.gaze.find.finders import FINDERS as FINDERS
    from onepass.gaze.find.finders import open_finder as open_finder
    from onepass.gaze.find.mesh import MeshFinder as MeshFinder
    from onepass.gaze.fit import GAZE_METHODS as GAZE_METHODS
    from onepass.gaze.fit import GazeMethod as GazeMethod
    from onepass.gaze.fit import fit_gaze as fit_gaze
    from onepass.gaze.fixations import EyeMovement as EyeMovement
    from onepass.gaze.fixations import MovementFinder as MovementFinder
    from onepass.gaze.kappa import KAPPA_DEG as KAPPA_DEG
    from onepass.gaze.kappa import line_of_sight as line_of_sight
    from onepass.gaze.model import PACKAGED_MODELS as PACKAGED_MODELS
    from onepass.gaze.model import open_model as open_model
    from onepass.gaze.result import Box as Box
    from onepass.gaze.result import Eye as Eye
    from onepass.gaze.result import Face as Face
    from onepass.gaze.screen.calibration import Calibration as Calibration
    from onepass.gaze.screen.calibration import CalibrationError as CalibrationError
    from onepass.gaze.screen.calibration import calibrate as calibrate
    from onepass.gaze.screen.recording import Recording as Recording
    from onepass.gaze.screen.recording import record as record
    from onepass.gaze.screen.rows import SAMPLE_COLUMNS as SAMPLE_COLUMNS
    from onepass.gaze.screen.sample import GazeSample as GazeSample
    from onepass.gaze.screen.sample import Screen as Screen
    from onepass.gaze.show.columns import COLUMNS as COLUMNS
    from onepass.gaze.show.columns import Column as Column
    from onepass.gaze.show.draw import draw_faces as draw_faces
    from onepass.gaze.show.movements import MovementTable as MovementTable
    from onepass.gaze.show.panel import draw_analysis as draw_analysis
    from onepass.gaze.show.panel import draw_panel as draw_panel
    from onepass.gaze.show.tables import TABLE_SUFFIXES as TABLE_SUFFIXES
    from onepass.gaze.show.tables import ParquetTable as ParquetTable
    from onepass.gaze.show.tables import Table as Table
    from onepass.gaze.show.tables import TextTable as TextTable
    from onepass.gaze.show.tables import open_table as open_table
    from onepass.gaze.show.words import GazeWords as GazeWords
    from onepass.gaze.stream import StreamResult as StreamResult
    from onepass.gaze.video.blinks import BlinkDetector as BlinkDetector
    from onepass.gaze.video.smoothing import OneEuroFilter as OneEuroFilter
    from onepass.gaze.video.smoothing import Smoothing as Smoothing
    from onepass.gaze.video.tracker import GazeTracker as GazeTracker

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.gaze.analysis": "Analysis",
        "onepass.gaze.confidence": "ConfidenceScale",
        "onepass.gaze.directions": "Gaze HeadPose",
        "onepass.gaze.estimator": "GazeEstimator",
        "onepass.gaze.eyes": "EyeCrops",
        "onepass.gaze.find.cascades": "CascadeFinder",
        "onepass.gaze.find.dlib_finder": "DlibFinder",
        "onepass.gaze.find.faces": "FaceFinder FaceFollower FoundFace",
        "onepass.gaze.find.finders": "FINDERS open_finder",
        "onepass.gaze.find.mesh": "MeshFinder",
        "onepass.gaze.fit": "GAZE_METHODS GazeMethod fit_gaze",
        "onepass.gaze.kappa": "KAPPA_DEG line_of_sight",
        "onepass.gaze.model": "PACKAGED_MODELS open_model",
        "onepass.gaze.result": "Box Eye Face",
        "onepass.gaze.screen.calibration": "Calibration CalibrationError calibrate",
        "onepass.gaze.screen.recording": "Recording record",
        "onepass.gaze.screen.rows": "SAMPLE_COLUMNS",
        "onepass.gaze.screen.sample": "GazeSample Screen",
        "onepass.gaze.show.columns": "COLUMNS Column",
        "onepass.gaze.show.draw": "draw_faces",
        "onepass.gaze.show.movements": "MovementTable",
        "onepass.gaze.show.panel": "draw_analysis draw_panel",
        "onepass.gaze.show.tables": "TABLE_SUFFIXES ParquetTable Table TextTable open_table",
        "onepass.gaze.show.words": "GazeWords",
        "onepass.gaze.video.blinks": "BlinkDetector",
        "onepass.gaze.fixations": "EyeMovement MovementFinder",
        "onepass.gaze.video.smoothing": "OneEuroFilter Smoothing",
        "onepass.gaze.stream": "StreamResult",
        "onepass.gaze.video.tracker": "GazeTracker",
    },
)
