"""Gaze in the browser."""
