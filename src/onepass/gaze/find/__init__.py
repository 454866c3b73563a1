"""Find faces: the protocols, and finders based on OpenCV, MediaPipe and dlib."""
