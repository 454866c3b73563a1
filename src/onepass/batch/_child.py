"""The process that does parts: ``python -m onepass.batch._child``. It is told what by lines of JSON, and tells so.

In comes the job first, then parts; out come ``ready``, ``row``, ``rows``, ``done`` or ``failed``, as `Worker` reads it.
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
from onepass.batch._work import do_part, open_work


def main() -> None:
    """Do what comes, until nothing more does: a process whose starter is gone ends at once, whatever it is at.

    Functions of the user's neither read what we are told nor write what we answer: they have an empty standard input,
    and write to standard error. Nor does the interpreter clean up, which it could not while a thread waits for input.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the starter's business, which then lets go of us
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
    except Exception as error:  # noqa: BLE001 - told to the starter: no other process would fare better
        if isinstance(error, MemoryError):  # row by row, in another process, it may be enough
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
