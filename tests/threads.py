"""Run the same work in many threads at once, and wait for what must happen."""

import threading
from collections.abc import Callable

WAIT_SECONDS = 20  # for what happens at once, unless it never does


def wait(event: threading.Event) -> None:
    """Wait for what must happen."""
    assert event.wait(WAIT_SECONDS)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Call ``work(0)`` to ``work(count - 1)``, each in a thread of its own; raise what the first of them raised."""
    failures: list[BaseException] = []
    together = threading.Barrier(count)

    def guarded(number: int) -> None:
        try:
            together.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
