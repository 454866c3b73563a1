"""Open the model of a job, whichever kind of work it does."""

from __future__ import annotations

from onepass.batch._job import Job
from onepass.batch._model_work import ModelWork
from onepass.batch._work import Work


def open_work(job: Job, *, workers: int) -> Work:
    """Open the model of a job."""
    if job.gaze:
        from onepass.batch._gaze import GazeWork  # noqa: PLC0415 - it imports OpenCV

        return GazeWork(job, workers=workers)
    return ModelWork(job, workers=workers)
