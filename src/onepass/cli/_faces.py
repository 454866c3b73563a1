"""Faces and their gaze as the commands print them."""

from __future__ import annotations

import numpy as np

from onepass.gaze import Eye, Face, Gaze
from onepass.gaze.geometry import FloatArray


def about_face(number: int, face: Face) -> str:
    """Describe the gaze of a face and of each of its eyes, in rich markup."""
    lines = [f"[bold]face {number}[/bold] looks {_direction(face.gaze)}", *map(_about, face.eyes)]
    return "\n".join(lines)


def _about(eye: Eye) -> str:
    radius_px = float(np.linalg.norm(eye.iris - eye.iris.mean(axis=0), axis=1).mean())
    return (
        f"  {eye.side + ' eye':10} gaze    {_direction(eye.gaze)} (confidence {eye.confidence:.2f})\n"
        f"  {'':10} iris    centre {_point(eye.iris_centre)} px, radius {radius_px:.1f} px\n"
        f"  {'':10} eyelid  from {_point(eye.nasal_corner)} to {_point(eye.temporal_corner)} px, "
        f"open {eye.aperture_px:.1f} px"
    )


def _point(point: FloatArray) -> str:
    return f"({point[0]:.1f}, {point[1]:.1f})"


def _direction(gaze: Gaze) -> str:
    """Describe a direction in words, from the point of view of someone who looks at the picture."""
    vertical = "up" if gaze.pitch_deg >= 0 else "down"
    horizontal = "right" if gaze.yaw_deg >= 0 else "left"
    return f"{abs(gaze.pitch_deg):.1f}° {vertical}, {abs(gaze.yaw_deg):.1f}° {horizontal} in the picture"
