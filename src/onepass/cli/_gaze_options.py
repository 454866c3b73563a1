"""Options that several of gaze's commands have: how eyes are read, and how faces are followed."""

from __future__ import annotations

import click

from onepass.gaze import FINDERS, GAZE_METHODS, PACKAGED_MODELS
from onepass.gaze.video.tracker import DETECT_EVERY

model_option = click.option(
    "--model", "--engine", default="default", show_default=True, metavar="MODEL",
    help=f"Bundled weights ({' or '.join(PACKAGED_MODELS)}), or an ELG network of your own: ONNX or engine.",
)  # fmt: skip
finder_option = click.option(
    "--finder", type=click.Choice(FINDERS), default="auto", show_default=True,
    help="What finds faces. auto takes what `onepass gaze models fetch` brings once it is here, and cascades before.",
)  # fmt: skip
gaze_option = click.option(
    "--gaze", type=click.Choice(GAZE_METHODS), default="closed", show_default=True,
    help="Read the gaze off three landmarks in closed form, or fit an eyeball to all of them (slower).",
)  # fmt: skip
kappa_option = click.option(
    "--kappa", type=click.FloatRange(-20, 20), default=0.0, show_default=True, metavar="DEGREES",
    help="Turn each eye's gaze so far towards the nose: from the eye's axis to the line of sight it is about 5.",
)  # fmt: skip
max_faces_option = click.option(
    "--max-faces", type=click.IntRange(1), metavar="N", help="Only that many faces, the largest."
)
every_option = click.option(
    "--every", type=click.IntRange(1), default=DETECT_EVERY, show_default=True, metavar="N",
    help="In a video or of a camera, look for faces in every n-th frame and follow them in between.",
)  # fmt: skip
smooth_option = click.option(
    "--smooth/--no-smooth", default=True, show_default=True, help="Smooth gaze and points over time."
)
