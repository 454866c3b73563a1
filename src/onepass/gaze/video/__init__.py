"""Track faces through a video, with persistent numbers, smoothing and blink detection."""
