"""Faces from frame to frame: followed, numbered, smoothed, their blinks seen."""
