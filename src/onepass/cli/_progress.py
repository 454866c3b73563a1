"""Progress on the terminal while something takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from onepass import batch
from onepass._printable import printable
from onepass.cli._tables import bytes_text, console, escape

_MINUTE_S = 60.0


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function that reports bytes received and bytes in total: a bar on a terminal, one line elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    err = console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        begun = False

        def told(here: int, total: int | None) -> None:
            nonlocal begun
            bar.update(task, completed=here, total=total)
            if not begun and not err.is_terminal:
                size = "" if total is None else f", {bytes_text(total)}"
                click.echo(f"downloading {printable(name)}{size}", err=True)
            begun = True

        yield told


@contextmanager
def batch_bar(name: str) -> Iterator[Callable[[batch.Progress], None]]:
    """Yield a function that reports the progress of a batch: a bar on a terminal, a line per minute elsewhere."""
    err = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"),
               TimeRemainingColumn())  # fmt: skip
    begin = last = time.monotonic()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(escape(name), total=None, pace="")

        def told(now: batch.Progress) -> None:
            nonlocal last
            seconds = time.monotonic() - begin
            bar.update(task, completed=now.done, total=now.total, pace=_pace(now, seconds))
            if not err.is_terminal and begin + seconds - last >= _MINUTE_S:
                last = begin + seconds
                click.echo(f"{name}: {now.done} of {now.total}, {_pace(now, seconds)}{_left(now, seconds)}", err=True)

        yield told


def _pace(now: batch.Progress, seconds: float) -> str:
    """Return the rate, and the number of errors so far."""
    errors = f", {now.errors} with an error" if now.errors else ""
    return f"{(now.done - now.earlier) / max(seconds, 1e-9):.1f} per second{errors}"


def _left(now: batch.Progress, seconds: float) -> str:
    done = now.done - now.earlier
    return f", {seconds * (now.total - now.done) / done / 60:.0f} minutes left" if done else ""
