"""``onepass gaze page``."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

import click

from onepass._interrupts import leaving_at_once
from onepass.cli._gaze_options import (
    every_option,
    finder_option,
    gaze_option,
    kappa_option,
    max_faces_option,
    model_option,
    smooth_option,
)
from onepass.cli._listening import listening_options
from onepass.cli._model import opening_options
from onepass.gaze import (
    Calibration,
    GazeEstimator,
    GazeMethod,
    Smoothing,
)
from onepass.gaze.page import PageOptions, page_app, page_server
from onepass.gaze.result import Side
from onepass.runtime import ModelSpec
from onepass.web import Listening


@click.command("page")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser of this machine.")
@model_option
@finder_option
@gaze_option
@kappa_option
@click.option(
    "--eye", type=click.Choice(["left", "right"]), help="Start with only this eye, from the subject's point of view."
)
@click.option(
    "--calibration", type=click.Path(path_type=Path), metavar="FILE",
    help="Calibration of this screen, from the page or from `onepass gaze calibrate`.",
)  # fmt: skip
@max_faces_option
@every_option
@smooth_option
@opening_options
@listening_options(port=8471)
def command(
    opened: bool, model: str, finder: str, gaze: GazeMethod, kappa: float, eye: Side | None, calibration: Path | None,
    max_faces: int | None, every: int, smooth: bool, listening: Listening, opening: dict[str, Any],
) -> None:  # fmt: skip
    """Find gaze in the browser: a page instead of a window.

    The page shows the browser's camera with eyelids, irises and gaze drawn on it, and numbers and curves beside it. It
    also accepts pictures and videos, records tables, and calibrates the gaze on the screen. Pictures are analysed and
    not stored; recordings contain only numbers.

    By default, only this machine can open the page. Browsers allow camera access only for localhost and HTTPS pages.
    For other machines, use SSH, ssh -L 8471:localhost:8471 MACHINE, or --host with --tls-cert and --tls-key.
    """
    if eye is not None and calibration is not None:
        raise click.UsageError("a calibration uses both eyes; omit --eye or --calibration")
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
            click.echo(f"{address}\nPress Ctrl-C to stop.")
            if opened:
                webbrowser.open(address)

        server.run(ready)
