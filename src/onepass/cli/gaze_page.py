"""``onepass gaze page``."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

import click

from onepass._interrupts import leaving_at_once
from onepass.cli._listening import listening_options
from onepass.cli._model import opening_options
from onepass.gaze import (
    FINDERS,
    GAZE_METHODS,
    PACKAGED_MODELS,
    Calibration,
    GazeEstimator,
    GazeMethod,
    Smoothing,
)
from onepass.gaze.page import PageOptions, page_app, page_server
from onepass.gaze.result import Side
from onepass.gaze.video.tracker import DETECT_EVERY
from onepass.runtime import ModelSpec
from onepass.web import Listening


@click.command("page")
@click.option("--open", "opened", is_flag=True, help="Open the page in this machine's browser.")
@click.option(
    "--model", "--engine", default="default", show_default=True, metavar="MODEL",
    help=f"Bundled weights ({' or '.join(PACKAGED_MODELS)}), or an ELG network of your own: ONNX or engine.",
)  # fmt: skip
@click.option("--finder", type=click.Choice(FINDERS), default="auto", show_default=True, help="What finds faces.")
@click.option(
    "--gaze", type=click.Choice(GAZE_METHODS), default="closed", show_default=True, help="As for onepass gaze."
)
@click.option(
    "--kappa", type=click.FloatRange(-20, 20), default=0.0, show_default=True, metavar="DEGREES",
    help="Turn each eye's gaze so far towards the nose: from the eye's axis to the line of sight it is about 5.",
)  # fmt: skip
@click.option("--eye", type=click.Choice(["left", "right"]), help="Only this eye, the subject's own, to begin with.")
@click.option(
    "--calibration", type=click.Path(path_type=Path), metavar="FILE",
    help="What the page or `onepass gaze calibrate` has learned of this screen.",
)  # fmt: skip
@click.option("--max-faces", type=click.IntRange(1), metavar="N", help="Only that many faces, the largest.")
@click.option(
    "--every", type=click.IntRange(1), default=DETECT_EVERY, show_default=True, metavar="N",
    help="Look for faces in every n-th frame and follow them in between.",
)  # fmt: skip
@click.option("--smooth/--no-smooth", default=True, show_default=True, help="Smooth gaze and points over time.")
@opening_options
@listening_options(port=8471)
def command(
    opened: bool, model: str, finder: str, gaze: GazeMethod, kappa: float, eye: Side | None, calibration: Path | None,
    max_faces: int | None, every: int, smooth: bool, listening: Listening, opening: dict[str, Any],
) -> None:  # fmt: skip
    """Find gaze in the browser: a page instead of a window.

    The page shows what the browser's camera sees, with eyelids, irises and gaze drawn over it, numbers and curves. It
    takes pictures and videos, records tables, and learns where on the screen somebody looks. Pictures are analysed and
    not kept; recording keeps numbers only.

    By default only this machine can open it. Browsers give cameras to localhost and to HTTPS pages only: for other
    machines use --host with --tls-cert and --tls-key, or SSH: ssh -L 8471:localhost:8471 MACHINE.
    """
    if eye is not None and calibration is not None:
        raise click.UsageError("a calibration is made of both eyes; leave out --eye or --calibration")
    with leaving_at_once():
        learned = None if calibration is None else Calibration.load(calibration)
        options = PageOptions(
            eye=eye,
            max_faces=max_faces,
            every=every,
            smoothing=Smoothing() if smooth else None,
            calibration=learned,
        )
        estimator = GazeEstimator.from_default(
            ModelSpec(model, **opening), finder=finder, max_faces=max_faces, gaze=gaze, kappa_deg=kappa
        )
    with estimator:
        server = page_server(page_app(estimator, options), listening)
        query = "" if listening.token is None else f"?token={listening.token}"
        address = f"{server.address}/{query}"

        def ready() -> None:
            click.echo(f"{address}\nCtrl-C ends it.")
            if opened:
                webbrowser.open(address)

        server.run(ready)
