"""Procedural pictures of eyes with exact labels: batched, closed-form, from no external data.

Lengths are millimetres in the camera frame (x to the picture's right, y down, z towards the camera, origin in the
centre of the eyeball) until :class:`~training.renderer.placement.Crop` turns them into pixels. The nasal corner lies on
the left.
"""

from training.renderer.camera import equalise
from training.renderer.compose import Difficulty, EyeBatch, Renderer, RenderOptions, make_renderer, render

__all__ = ["Difficulty", "EyeBatch", "RenderOptions", "Renderer", "equalise", "make_renderer", "render"]
