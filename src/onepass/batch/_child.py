"""The worker process for parts: ``python -m onepass.batch._child``. It communicates in lines of JSON.

Input: the job, then parts. Output: ``ready``, ``row``, ``rows``, ``done`` or ``failed``, which `Worker` reads.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from onepass._errors import BackendError, OnepassError
from onepass.batch._failures import failure
from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch._open import open_work
from onepass.batch._work import do_part


def main() -> None:
    """Process parts until the input ends; if the parent process is gone, end at once.

    The user's functions cannot interfere with the protocol: their standard input is empty, and their standard output
    goes to standard error. The interpreter skips its clean-up, which would hang while a thread waits for input.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and then ends this process
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    lines: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        for line in orders:
            lines.put(line)
        os._exit(1)

    def tell(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    threading.Thread(target=listen, name="onepass-lifeline", daemon=True).start()
    try:
        _serve(lines, tell)
    except (OnepassError, OSError) as error:
        tell(**failure(error))
    except Exception as error:  # noqa: BLE001 - reported to the parent: another process would fail, too
        if isinstance(error, MemoryError):  # row by row, in another process, memory may suffice
            os._exit(1)
        traceback.print_exc()
        tell(**failure(BackendError(f"{type(error).__name__}: {error}. This is a bug in onepass")))
    finally:
        os._exit(0)


def _serve(lines: SimpleQueue[bytes], tell: Any) -> None:
    given = json.loads(lines.get())
    folder = Path(given["folder"])
    work = open_work(Job.from_json(given["job"]), workers=given["workers"])
    tell(ready=True)
    while True:
        asked = json.loads(lines.get())
        poison = {int(number): error for number, error in asked["poison"].items()}
        record = do_part(
            work, folder, Part.from_json(asked["part"]), poison=poison, careful=asked["careful"], stop=given["stop"],
            told=lambda what, first, second: tell(**{what: first, "errors": second}),
        )  # fmt: skip
        tell(done={name: getattr(record, name) for name in record.__slots__})


if __name__ == "__main__":
    main()
