"""Options that several gaze commands share: how eyes are read, and how faces are tracked."""

from __future__ import annotations

import click

from onepass.gaze import FINDERS, GAZE_METHODS, PACKAGED_MODELS
from onepass.gaze.video.tracker import DETECT_EVERY

model_option = click.option(
    "--model", "--engine", default="default", show_default=True, metavar="MODEL",
    help=f"Bundled weights ({' or '.join(PACKAGED_MODELS)}), or your own ELG network: ONNX or engine.",
)  # fmt: skip
finder_option = click.option(
    "--finder", type=click.Choice(FINDERS), default="auto", show_default=True,
    help="Face finder. auto uses the networks of `onepass gaze models fetch` if they are fetched, otherwise cascades.",
)  # fmt: skip
gaze_option = click.option(
    "--gaze", type=click.Choice(GAZE_METHODS), default="closed", show_default=True,
    help="Compute gaze from three landmarks in closed form, or fit an eyeball to all landmarks (slower).",
)  # fmt: skip
kappa_option = click.option(
    "--kappa", type=click.FloatRange(-20, 20), default=0.0, show_default=True, metavar="DEGREES",
    help="Rotate each eye's gaze towards the nose by this many degrees (eye axis to line of sight; typically about 5).",
)  # fmt: skip
max_faces_option = click.option(
    "--max-faces", type=click.IntRange(1), metavar="N", help="Use at most this many faces, the largest ones."
)
every_option = click.option(
    "--every", type=click.IntRange(1), default=DETECT_EVERY, show_default=True, metavar="N",
    help="In videos and camera streams, search for faces in every n-th frame and track them in between.",
)  # fmt: skip
smooth_option = click.option(
    "--smooth/--no-smooth", default=True, show_default=True, help="Smooth gaze and landmarks over time."
)
