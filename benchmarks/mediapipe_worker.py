"""MediaPipe's face mesh with irises on one core; runs in an environment with MediaPipe and without onepass."""

from __future__ import annotations

import json
import os
import sys
import time

import mediapipe
import numpy as np


def main(clip: str, faces: str) -> None:
    """Answer each line, a number of frames, with their time and the number of eyes seen."""
    os.sched_setaffinity(0, {0})
    frames = np.load(clip)
    mesh = mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=int(faces), refine_landmarks=True)
    index = 0
    for line in sys.stdin:
        eyes, start = 0, time.process_time()
        for _ in range(int(line)):
            found = mesh.process(frames[index % len(frames)]).multi_face_landmarks
            eyes += 2 * len(found or ())
            index += 1
        print(json.dumps({"cpu_seconds": time.process_time() - start, "eyes": eyes, "stages": {}}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
