"""What ends a call, a session or a process in the middle: Ctrl-C, timeouts, forks, exits; and what is left then."""

import copy
import gc
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass.runtime import stop_runs
from onepass.runtime.fake import FakeBackend
from tests.endless import endless
from tests.threads import WAIT_SECONDS
from tests.unwatched import unwatched

F32 = np.dtype(np.float32)
LINE = onepass.Signature(
    (onepass.TensorSpec("x", F32, ("N",)),),
    (onepass.TensorSpec("y", F32, ("N",)), onepass.TensorSpec("z", F32, ("N",))),
)
X = np.zeros(1, np.float32)


@pytest.fixture
def endless_file(tmp_path: Path) -> Path:
    """A model whose output 'slow' takes for ever, and 'quick' does not."""
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless().SerializeToString())
    return path


def _closes(session: onepass.Session) -> bool:
    closer = threading.Thread(target=session.close, daemon=True)
    closer.start()
    closer.join(WAIT_SECONDS)
    return not closer.is_alive()


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], KeyboardInterrupt]]:
    """Repeat a call until Ctrl-C strikes in it somewhere, and return that with all its frames."""
    # Python has nowhere to raise what strikes in a destructor; it drops it.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    random = np.random.default_rng(1)

    def strike(call: Callable[[], Any]) -> KeyboardInterrupt:
        try:
            signal.setitimer(signal.ITIMER_REAL, float(random.uniform(5e-5, 1e-3)))
            while True:
                call()
                if not signal.getitimer(signal.ITIMER_REAL)[0]:  # it was dropped
                    signal.setitimer(signal.ITIMER_REAL, 0.05)
        except KeyboardInterrupt as error:
            return error
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    with unwatched():
        yield strike
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("how", ["call", "submit", "subset"])
def test_ctrl_c_leaves_no_call_behind(how: str, struck: Any) -> None:
    """Wherever Ctrl-C strikes in calls, hundreds of times, calls after it are right and close() comes back."""
    session = onepass.Session(FakeBackend(LINE, lambda feeds: {"y": feeds["x"].copy(), "z": feeds["x"].copy()}))
    calls: dict[str, Callable[[], Any]] = {
        "call": lambda: session(X),
        "submit": lambda: session.submit(X),
        "subset": lambda: session(X, outputs=["z"]),
    }
    kept = [struck(calls[how]) for _ in range(300)]
    assert len(kept) == 300
    assert session(X).z.shape == (1,)
    assert session.submit(X).result(WAIT_SECONDS).z.shape == (1,)
    assert _closes(session)


@pytest.mark.parametrize("how", ["submit", "timeout"])
def test_ctrl_c_while_a_thread_starts(how: str, endless_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python's own lock turns Ctrl-C into an error of the lock, it is Ctrl-C still; calls after it are right."""
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        monkeypatch.undo()
        try:
            raise KeyboardInterrupt
        finally:
            threading.Lock().release()

    session = onepass.load(endless_file)
    calls: dict[str, Callable[[], onepass.Outputs]] = {
        "submit": lambda: session.submit(X, outputs=["quick"]).result(WAIT_SECONDS),
        "timeout": lambda: session(X, outputs=["quick"], timeout=WAIT_SECONDS),
    }
    assert session(X, outputs=["quick"]).quick == 0  # prepares the part
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calls[how]()
    assert calls[how]().quick == 0
    assert _closes(session)


def test_ctrl_c_while_a_part_is_prepared(endless_file: Path, struck: Any) -> None:
    """The first calls for some outputs may be interrupted; a later one prepares that part, and is right."""
    for _ in range(60):
        session = onepass.load(endless_file)
        struck(lambda session=session: session(X, outputs=["quick"]))
        assert session(X, outputs=["quick"]).quick == 0
        assert _closes(session)


@unwatched()
def test_what_a_signal_handler_raises_stays_what_it_is(endless_file: Path) -> None:
    """An exception of the program's own handler is not taken for a failure of the model."""

    class MineError(Exception):
        pass

    def handler(*_: Any) -> None:
        raise MineError

    def call_for_ever(session: onepass.Session) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while True:
            session(X, outputs=["quick"])

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with onepass.load(endless_file) as session, pytest.raises(MineError):
            call_for_ever(session)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_close_in_a_signal_handler() -> None:
    """A handler that closes the session in the middle of a call does not wait for it; all is freed after it."""

    def compute(feeds: Any) -> dict[str, Any]:
        signal.raise_signal(signal.SIGALRM)
        return dict.fromkeys("yz", feeds["x"])

    backend = FakeBackend(LINE, compute)
    session = onepass.Session(backend)
    before = signal.signal(signal.SIGALRM, lambda *_: session.close())
    try:
        assert session(X).y.shape == (1,)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert session.closed
    session.close()
    assert backend.closed


def test_timeout_ends_an_endless_run(endless_file: Path) -> None:
    """A run that takes longer than its timeout is an error that says so; the session goes on."""
    with onepass.load(endless_file) as session:
        with pytest.raises(onepass.RunTimeoutError, match=r"exceeded its timeout of 0\.05 s") as caught:
            session(X, timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        assert session(X, outputs=["quick"], timeout=WAIT_SECONDS).quick == 0
        with pytest.raises(onepass.RunTimeoutError):
            session(X, outputs=["slow"], timeout=1e-6)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "1", True])
def test_timeout_is_a_number_of_seconds(endless_file: Path, seconds: Any) -> None:
    """Anything else is refused before the run."""
    with (
        onepass.load(endless_file) as session,
        pytest.raises(onepass.InputError, match="timeout= must be a number of seconds"),
    ):
        session(X, outputs=["quick"], timeout=seconds)


def test_timeout_where_runs_cannot_be_ended() -> None:
    """A backend that cannot end a run says so, instead of running without the limit."""
    with (
        onepass.Session(FakeBackend(LINE)) as session,
        pytest.raises(onepass.InputError, match="supported only for ONNX models"),
    ):
        session(X, timeout=1)


@pytest.mark.parametrize("everywhere", [False, True])
def test_stop_ends_runs(endless_file: Path, everywhere: bool) -> None:
    """Another thread may end the runs of a session, or all that the process has; their error says why."""
    session = onepass.load(endless_file)
    future = session.submit(X)

    def run_with_limit() -> None:
        with pytest.raises(onepass.BackendError):
            session(X, timeout=60)

    limited = threading.Thread(target=run_with_limit)
    limited.start()
    time.sleep(0.05)
    stop_runs("enough") if everywhere else session.stop("enough")
    with pytest.raises(onepass.BackendError, match="the run was stopped: enough"):
        future.result(WAIT_SECONDS)
    limited.join(WAIT_SECONDS)
    assert not limited.is_alive()
    with pytest.raises(onepass.BackendError, match="enough"):
        session(X, outputs=["quick"])
    assert _closes(session)


def test_dropped_sessions_free_everything() -> None:
    """Sessions that are used in the background and dropped, not closed, leave no thread and no model behind."""
    before = threading.active_count()
    gone = []

    class Counted(FakeBackend):
        def __del__(self) -> None:
            gone.append(1)

    for _ in range(50):
        onepass.Session(Counted(LINE)).submit(X).result(WAIT_SECONDS)
    gc.collect()
    deadline = time.monotonic() + WAIT_SECONDS
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
    gc.collect()
    assert len(gone) == 50


def test_a_session_is_not_pickled() -> None:
    """Whoever pickles or copies a session is told what to send instead, and that can be pickled."""
    with onepass.Session(FakeBackend(LINE), name="line.onnx") as session:
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=r"line\.onnx cannot be pickled.*ModelSpec"):
                copied(session)
    spec = onepass.ModelSpec("line.onnx", threads=2)
    assert pickle.loads(pickle.dumps(spec)) == spec


def _python(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(sys, "getdlopenflags"), reason="processes are forked on POSIX systems only")
def test_fork(endless_file: Path) -> None:
    """In a forked process a session works, also in the background, or says why not; it never hangs."""
    done = _python(
        """
        import os, sys, threading, time
        import numpy as np
        import onepass

        x = np.zeros(1, np.float32)
        session, many = onepass.load(sys.argv[1]), onepass.load(sys.argv[1], threads=2)
        session.submit(x, outputs=["quick"]).result()

        def endless():
            try:
                session(x)
            except onepass.BackendError:
                pass

        threading.Thread(target=endless, daemon=True).start()
        time.sleep(0.1)
        child = os.fork()
        if child == 0:
            session(x, outputs=["quick"])
            session.submit(x, outputs=["quick"]).result(20)
            session.close()
            try:
                many(x, outputs=["quick"])
            except onepass.SessionClosedError as error:
                print(error, flush=True)
            many.close()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        endless_file,
    )
    assert done.returncode == 0, done.stderr
    said, status = done.stdout.splitlines()
    assert "was opened before this process was forked" in said
    assert "onepass.load" in said
    assert status == "7"
    assert done.stderr == ""


def test_daemon_threads_at_the_end_of_a_process(endless_file: Path) -> None:
    """A process ends as it should although a daemon thread still calls, and another is in a run that never ends."""
    done = _python(
        """
        import sys, threading, time
        import numpy as np
        import onepass

        x = np.zeros(1, np.float32)
        session = onepass.load(sys.argv[1])

        def for_ever():
            while True:
                session(x, outputs=["quick"])

        def endless():
            try:
                session(x)
            except onepass.BackendError:
                pass

        for _ in range(3):
            threading.Thread(target=for_ever, daemon=True).start()
        threading.Thread(target=endless, daemon=True).start()
        time.sleep(0.2)
        print("the end")
        """,
        endless_file,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


def test_calls_at_the_end_of_a_process(endless_file: Path) -> None:
    """What the main thread runs at exit may still use a session."""
    done = _python(
        """
        import atexit, sys
        import numpy as np
        import onepass

        session = onepass.load(sys.argv[1])
        atexit.register(lambda: print(session(np.zeros(1, np.float32), outputs=["quick"]).quick))
        import onepass.runtime._life
        """,
        endless_file,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[-0.]\n", "")
