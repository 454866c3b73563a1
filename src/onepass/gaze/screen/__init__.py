"""Gaze on a screen: recording, calibration, prediction."""
