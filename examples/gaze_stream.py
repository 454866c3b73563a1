"""Print gaze frame by frame: python -m examples.gaze_stream [SOURCE]; the default is the first camera."""

import sys
from contextlib import closing

from onepass.gaze import GazeEstimator, GazeTracker
from onepass.media import open_source


def main(source: str = "camera:0") -> None:
    """Follow every face. A camera builds up no delay; a video loses no frame."""
    with (
        open_source(source) as frames,
        GazeEstimator.from_default("small") as estimator,
        closing(GazeTracker(estimator).stream(frames)) as results,
    ):
        for result in results:
            for face in result.faces:
                blinks = all(eye.blink for eye in face.eyes)
                where = "blinks" if blinks else f"{face.gaze.yaw_deg:+5.1f}° across, {face.gaze.pitch_deg:+5.1f}° up"
                print(f"{result.frame.seconds or 0:7.2f} s  face {face.id}  {where}")


if __name__ == "__main__":
    main(*sys.argv[1:])
