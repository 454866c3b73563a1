"""Finding faces: the protocols, and the finders of OpenCV, MediaPipe and dlib."""
