"""Session: what it accepts, what it refuses and with which words, and its life."""

import threading
import time
import tracemalloc
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onepass import (
    BackendError,
    InputError,
    OnepassError,
    OutputNameError,
    Outputs,
    Session,
    SessionClosedError,
    Signature,
    TensorSpec,
)
from onepass.outputs import Array
from onepass.runtime.fake import FakeBackend
from tests.threads import in_threads

F32 = np.dtype(np.float32)
EYE = Signature(
    inputs=(TensorSpec("eye", F32, ("N", 1, 36, 60)),),
    outputs=(TensorSpec("heatmaps", F32, ("N", 18, 36, 60)), TensorSpec("radius", F32, ("N", 1))),
)
PAIR = Signature(
    inputs=(TensorSpec("a", F32, ("N", 2)), TensorSpec("b", np.dtype(np.int64), ("N", "K"))),
    outputs=(TensorSpec("y", F32, ("N", 2)),),
)
FREE = Signature(
    (TensorSpec("x", F32, ("A", None, 2)), TensorSpec("s", F32, ()), TensorSpec("any", F32, None)),
    (TensorSpec("y", F32, ("A",)),),
)


def _eye(batch: int = 2) -> Array:
    return np.zeros((batch, 1, 36, 60), np.float32)


@pytest.fixture
def backend() -> FakeBackend:
    """A backend that notes its calls."""
    return FakeBackend(EYE)


@pytest.fixture
def session(backend: FakeBackend) -> Session:
    """A session of the eye network, without the network."""
    return Session(backend)


# ---- ways to call ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [lambda s, x: s(eye=x), lambda s, x: s({"eye": x}), lambda s, x: s(x), lambda s, x: s.submit(x).result(10)],
    ids=["keyword", "mapping", "position", "submit"],
)
def test_ways_to_call(session: Session, call: Any) -> None:
    """By keyword, by mapping, by position with one input, or in the background: the result is the same."""
    outputs = call(session, _eye())
    assert isinstance(outputs, Outputs)
    assert outputs.heatmaps.shape == (2, 18, 36, 60)
    assert list(outputs) == ["heatmaps", "radius"]


def test_mapping_and_keywords_together() -> None:
    """Some inputs by mapping, some by keyword; not the same one twice."""
    with Session(FakeBackend(PAIR)) as session:
        a, b = np.zeros((3, 2), np.float32), np.zeros((3, 4), np.int64)
        assert session({"a": a}, b=b).y.shape == (3, 2)
        with pytest.raises(InputError, match="input 'a' is given twice"):
            session({"a": a}, a=a, b=b)


def test_position_needs_a_single_input() -> None:
    """With two inputs, an array without a name could be either."""
    with Session(FakeBackend(PAIR)) as session, pytest.raises(InputError, match=r"2 inputs.*session\(a=..., b=...\)"):
        session(np.zeros((3, 2), np.float32))


def test_inputs_called_like_arguments() -> None:
    """Inputs may be called self, inputs, out or outputs; the last two go by mapping."""
    names = ("self", "inputs", "out", "outputs")
    signature = Signature(tuple(TensorSpec(n, F32, ()) for n in names), (TensorSpec("y", F32, ()),))
    one = np.array(1, np.float32)
    with Session(FakeBackend(signature)) as session:
        assert session({"out": one, "outputs": one}, self=one, inputs=one).y.shape == ()
        with pytest.raises(InputError, match=r"out= must be a mapping.*session\(\{'out': array\}\)"):
            session({"outputs": one, "out": one}, self=one, inputs=one, out=one)  # type: ignore[arg-type]


def test_outputs_asks_for_some(session: Session, backend: FakeBackend) -> None:
    """Only the outputs asked for reach the backend, in the model's order."""
    assert list(session(_eye(), outputs=["radius"])) == ["radius"]
    assert list(session(_eye(), outputs="radius")) == ["radius"]
    assert list(session(_eye(), outputs=("radius", "heatmaps", "radius"))) == ["heatmaps", "radius"]
    assert [names for _, names in backend.calls] == [("radius",), ("radius",), ("heatmaps", "radius")]


def test_outputs_unknown_or_none(session: Session) -> None:
    """A wrong name is told with those there are; asking for nothing is a mistake."""
    with pytest.raises(OutputNameError, match=r"no output 'radios'. Did you mean 'radius'"):
        session(_eye(), outputs=["radios"])
    with pytest.raises(InputError, match=r"outputs=\[\] is empty"):
        session(_eye(), outputs=[])


# ---- inputs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ({}, r"missing input 'eye' \(float32 \[N, 1, 36, 60\]\); got none"),
        ({"ey": _eye()}, r"no input 'ey'. Did you mean 'eye'\?"),
        ({"eye": _eye(), "more": 1}, r"no input 'more'"),
        ({"eye": _eye().astype(np.float64)}, r"expected float32 .*got float64 .*astype\('float32'\)"),
        ({"eye": _eye()[0]}, r"got float32 \[1, 36, 60\].*array\[None\]"),
        ({"eye": np.zeros((36, 60), np.float32)}, r"The rank must be 4, got 2"),
        ({"eye": np.zeros((2, 1, 36, 61), np.float32)}, r"Dimension 3 must be 60, got 61"),
        ({"eye": np.zeros((2, 36, 60, 1), np.float32)}, r"array.transpose\(0, 3, 1, 2\)"),
        ({"eye": np.full((2, 1, 36, 60), "x")}, r"got string .*accepts only numbers"),
        ({"eye": [[1, 2], [3]]}, r"got list, which cannot be converted to an array"),
        ({"eye": None}, r"got object"),
    ],
    ids=["missing", "misspelt", "too many", "dtype", "no batch", "rank", "size", "layout", "text", "ragged", "none"],
)  # fmt: skip
def test_wrong_inputs(session: Session, backend: FakeBackend, feed: dict[str, Any], message: str) -> None:
    """Each wrong input is refused before the backend sees it, with what came, what was expected and what to do."""
    with pytest.raises(InputError, match=message):
        session(feed)
    with pytest.raises(InputError, match=message):
        session.submit(feed)
    assert backend.calls == []


def test_shared_dimension() -> None:
    """A dimension that is named twice, in two inputs or in one, has one size."""
    square = Signature((TensorSpec("x", F32, ("N", "N")),), (TensorSpec("y", F32, ("N",)),))
    with Session(FakeBackend(square)) as session:
        session(np.zeros((2, 2), np.float32))
        with pytest.raises(InputError, match=r"dimension N is 2 in input 'x' \[2, 3\] but 3 in input 'x'"):
            session(np.zeros((2, 3), np.float32))
    with (
        Session(FakeBackend(PAIR)) as session,
        pytest.raises(InputError, match=r"dimension N is 3 in input 'a' \[3, 2\] but 4 in input 'b'"),
    ):
        session(a=np.zeros((3, 2), np.float32), b=np.zeros((4, 1), np.int64))


def test_all_missing_inputs_are_named() -> None:
    """Every missing input is in the message, not only the first."""
    with Session(FakeBackend(PAIR)) as session, pytest.raises(InputError, match=r"missing inputs 'a' .* 'b' "):
        session()


def test_lists_and_numbers_take_the_dtype_of_the_input() -> None:
    """What has no dtype of its own takes the input's."""
    backend = FakeBackend(PAIR, lambda feeds: {"y": feeds["a"]})
    with Session(backend) as session:
        np.testing.assert_array_equal(session(a=[[1, 2.5]], b=[[7]]).y, np.array([[1, 2.5]], np.float32))


def _identity(dtype: Any) -> Session:
    spec = TensorSpec("x", np.dtype(dtype), ("N",))
    signature = Signature((spec,), (TensorSpec("y", spec.dtype, ("N",)),))
    return Session(FakeBackend(signature, lambda feeds: {"y": feeds["x"]}))


@given(
    st.sampled_from([np.int8, np.uint8, np.int64, np.uint64, np.bool_, np.float16, np.float32]),
    st.lists(st.one_of(st.integers(-(2**70), 2**70), st.integers(-3, 300), st.floats(), st.booleans()), min_size=1),
)
def test_numbers_arrive_or_are_refused(dtype: Any, numbers: list[Any]) -> None:
    """A list arrives with its values, as near as the dtype comes; numbers the dtype cannot hold are refused."""
    with _identity(dtype) as session:
        try:
            y = session(numbers).y
        except InputError:
            return
    assert y.dtype == dtype
    if np.dtype(dtype).kind == "f":
        np.testing.assert_allclose(y.astype(float), np.array(numbers, float), rtol=1e-3, atol=1e-7)
    else:
        assert [int(value) for value in y] == [int(number) for number in numbers]


@pytest.mark.parametrize(
    ("dtype", "numbers"),
    [(np.int8, [300]), (np.int64, [2**63]), (np.uint8, [-1]), (np.int64, [7.5]), (np.float16, [1e300]), (np.bool_, [2]),
     (np.float32, [1j])],
)  # fmt: skip
def test_numbers_that_do_not_fit(dtype: Any, numbers: list[Any]) -> None:
    """Numbers are never wrapped, cut or made infinite."""
    with _identity(dtype) as session, pytest.raises(InputError, match="cannot hold all of the given numbers"):
        session(numbers)


@pytest.mark.parametrize(("dtype", "number"), [(np.uint8, 1), (np.bool_, True), (np.uint64, 2**63), (np.int64, 2.0)])
def test_numbers_that_fit(dtype: Any, number: Any) -> None:
    """Numbers that the dtype holds are welcome, whatever NumPy would make of them by itself."""
    with _identity(dtype) as session:
        assert session([number]).y.tolist() == [dtype(number)]


def test_numpy_scalars_keep_their_dtype() -> None:
    """A NumPy scalar has a dtype, which is not changed unasked."""
    spec = TensorSpec("x", F32, ())
    with Session(FakeBackend(Signature((spec,), (TensorSpec("y", F32, ()),)))) as session:
        session(np.float32(1.1))
        with pytest.raises(InputError, match="got float64"):
            session(np.float64(1.1))


def test_masked_arrays_are_refused() -> None:
    """Computing on the values under a mask would be wrong, and nobody would see it."""
    with _identity(np.float32) as session, pytest.raises(InputError, match=r"mask would be lost; use array.filled"):
        session(np.ma.masked_array([1, 2, 3], [False, True, False], dtype=np.float32))


def test_foreign_arrays() -> None:
    """Whatever NumPy can read as an array is one, with its own dtype."""

    class Foreign:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return np.ones((1, 1, 36, 60), np.float32)

    class Broken:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            raise TypeError("can't convert cuda:0 tensor to numpy")

    backend = FakeBackend(EYE)
    with Session(backend) as session:
        assert session(Foreign()).radius.shape == (1, 1)
        with pytest.raises(InputError, match=r"'eye': expected .*got Broken.*cuda:0"):
            session(Broken())


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(0, 3), st.just(2))),
    st.sampled_from(["C", "F", "reversed", "strided"]),
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3)),
)
def test_any_memory_layout(x: Array, layout: str, anything: Array) -> None:
    """Fortran order, negative and wide strides arrive at the backend as contiguous arrays of the same values."""
    seen: dict[str, Array] = {}

    def compute(feeds: Any) -> dict[str, Array]:
        seen.update(feeds)
        return {"y": np.zeros(len(feeds["x"]), np.float32)}

    given_x = {
        "C": x,
        "F": np.asfortranarray(x),
        "reversed": np.ascontiguousarray(x[::-1])[::-1],
        "strided": np.repeat(x, 2, axis=0)[::2],
    }[layout]
    with Session(FakeBackend(FREE, compute)) as session:
        session(x=given_x, s=np.float32(2), any=anything)
    assert all(array.flags.c_contiguous for array in seen.values())
    np.testing.assert_array_equal(seen["x"], x)
    np.testing.assert_array_equal(seen["any"], anything)
    assert seen["s"].shape == ()


shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(shapes, st.sampled_from([np.float32, np.float16, np.int64]))
def test_only_fitting_arrays_pass(shape: tuple[int, ...], dtype: Any) -> None:
    """An array passes exactly if dtype, rank and fixed sizes are right; its batch may be empty."""
    spec = TensorSpec("x", F32, ("N", 2, None))
    backend = FakeBackend(Signature((spec,), (TensorSpec("y", F32, ("N",)),)))
    fits = dtype is np.float32 and len(shape) == 3 and shape[1] == 2
    with Session(backend) as session:
        if fits:
            assert session(np.zeros(shape, dtype)).y.shape == shape[:1]
        else:
            with pytest.raises(InputError, match="input 'x': expected"):
                session(np.zeros(shape, dtype))
    assert len(backend.calls) == fits


# ---- out ---------------------------------------------------------------------------------------------------------


def test_out_is_filled_and_returned() -> None:
    """The given array holds the result, whatever its memory layout, and is what the mapping returns."""
    backend = FakeBackend(PAIR, lambda feeds: {"y": feeds["a"] + 1})
    a, b = np.arange(6, dtype=np.float32).reshape(3, 2), np.zeros((3, 1), np.int64)
    with Session(backend) as session:
        for target in (
            np.zeros((3, 2), np.float32),
            np.zeros((2, 3), np.float32).T,
            np.zeros((3, 4), np.float32)[:, ::2],
        ):
            outputs = session(a=a, b=b, out={"y": target})
            assert outputs.y is target
            np.testing.assert_array_equal(target, a + 1)
        session(a=a, b=b, out={"y": a})
        np.testing.assert_array_equal(a.ravel(), np.arange(6) + 1)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.zeros((2, 1)), r"expected float32 \[N, 1\], got float64 \[2, 1\]"),
        (np.zeros((2, 2), np.float32), r"expected float32 \[N, 1\], got float32 \[2, 2\]"),
        (np.zeros(2, np.float32), r"got float32 \[2\]"),
        (np.zeros((3, 1), np.float32), r"expected \[2, 1\], the shape of this call's output, got \[3, 1\]"),
        ([0.0, 0.0], r"expected a NumPy array, got list"),
        (np.broadcast_to(np.float32(0), (2, 1)), r"read-only"),
    ],
    ids=["dtype", "size", "rank", "batch", "list", "read-only"],
)
def test_out_that_does_not_fit(session: Session, target: Any, message: str) -> None:
    """An array of another dtype, rank, size or kind is refused, and no array is filled."""
    heatmaps = np.full((2, 18, 36, 60), 7, np.float32)
    with pytest.raises(InputError, match=message):
        session(_eye(), out={"heatmaps": heatmaps, "radius": target})
    assert (heatmaps == 7).all()


def test_out_must_not_overlap() -> None:
    """Two outputs cannot fill the same memory; parts of one array that lie apart are fine."""
    signature = Signature((TensorSpec("x", F32, ("N",)),), tuple(TensorSpec(n, F32, ("N",)) for n in "yz"))
    backend = FakeBackend(signature, lambda feeds: {"y": feeds["x"], "z": -feeds["x"]})
    x, buffer = np.array([1, 2], np.float32), np.zeros(4, np.float32)
    with Session(backend) as session:
        for targets in ({"y": buffer[:2], "z": buffer[:2]}, {"y": buffer[:2], "z": buffer[1:3]}):
            with pytest.raises(InputError, match="has the same memory for 'y' and 'z'"):
                session(x, out=targets)
        session(x, out={"y": buffer[::2], "z": buffer[1::2]})
        assert buffer.tolist() == [1, -1, 2, -2]


def test_out_names(session: Session) -> None:
    """out= can only name outputs, and only those that are computed."""
    with pytest.raises(OutputNameError, match="no output 'y'"):
        session(_eye(), out={"y": np.zeros(1)})
    with pytest.raises(InputError, match="'radius', which is not in outputs="):
        session(_eye(), outputs=["heatmaps"], out={"radius": np.zeros((2, 1), np.float32)})


# ---- life --------------------------------------------------------------------------------------------------------


def test_close(session: Session, backend: FakeBackend) -> None:
    """Closing closes the backend once; every use after it is an error that says so."""
    assert not session.closed
    assert "heatmaps, radius" in repr(session)
    with session:
        session(_eye())
    session.close()
    assert backend.closed
    assert session.closed
    assert "closed" in repr(session)
    for use in (lambda: session(_eye()), lambda: session.submit(_eye()), session.report, session.__enter__):
        with pytest.raises(SessionClosedError, match="is closed; open the model again"):
            use()
    assert session.signature is EYE


def test_close_waits_for_submitted_calls() -> None:
    """Calls that were submitted before close() finish, and all their results are there."""
    started = threading.Event()

    def slow(feeds: Any) -> dict[str, Array]:
        started.set()
        time.sleep(0.02)
        return {"y": feeds["a"]}

    backend = FakeBackend(PAIR, slow)
    session = Session(backend)
    feeds = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 1), np.int64)}
    futures = [session.submit(feeds) for _ in range(10)]
    started.wait(10)
    session.close()
    assert backend.closed
    assert all(isinstance(future, Future) for future in futures)
    assert all(future.done() for future in futures)
    assert len([future.result() for future in futures]) == 10


class Strict(FakeBackend):
    """A backend that is freed for good by close(), as one on a GPU is."""

    def run(self, feeds: Any, names: Any) -> Any:
        """Notice a close() before or during the call."""
        assert not self.closed, "run after close"
        time.sleep(0.001)
        assert not self.closed, "closed during run"
        return super().run(feeds, names)


class Slow:
    """An input that takes its time to become an array."""

    def __init__(self, started: threading.Event) -> None:
        self._started = started

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        self._started.set()
        time.sleep(0.05)
        return np.zeros((1, 2), np.float32)


def test_close_waits_for_calls_under_way() -> None:
    """However calls and close() meet, the backend is closed after the last call, and no call follows."""
    b = np.zeros((1, 1), np.int64)
    for _ in range(10):
        backend = Strict(PAIR)
        session = Session(backend)
        started = threading.Event()
        errors: list[Any] = []

        def work(session: Session = session, started: threading.Event = started, errors: list[Any] = errors) -> None:
            try:
                session(a=Slow(started), b=b)
            except SessionClosedError:
                pass
            except Exception as error:  # noqa: BLE001 - asserted below
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        closers = [threading.Thread(target=session.close) for _ in range(2)]
        for thread in threads:
            thread.start()
        started.wait(10)
        for thread in closers:
            thread.start()
        session.close()
        assert backend.closed
        for thread in (*threads, *closers):
            thread.join()
        assert errors == []


def test_close_from_a_callback() -> None:
    """A future's callback may close the session; the calls still queued end first."""
    backend = Strict(PAIR)
    session = Session(backend)
    feeds = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 1), np.int64)}
    futures = [session.submit(feeds) for _ in range(20)]
    futures[0].add_done_callback(lambda _: session.close())
    assert all(future.result(10).y.shape == (1, 2) for future in futures)
    session.close()
    assert backend.closed


def _held(release: threading.Event) -> FakeBackend:
    """Return a backend whose every call waits for the release."""

    def wait(feeds: Any) -> dict[str, Array]:
        release.wait(10)
        return {"y": feeds["a"]}

    return FakeBackend(PAIR, wait)


def test_cancelled_futures_do_not_hold_up_close() -> None:
    """A submitted call that is cancelled before it began is no call under way."""
    release = threading.Event()
    session = Session(_held(release))
    feeds = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 1), np.int64)}
    futures = [session.submit(feeds) for _ in range(20)]
    cancelled = [future.cancel() for future in futures]
    release.set()
    session.close()
    assert any(cancelled)
    assert all(future.done() for future in futures)


def test_submit_holds_a_bounded_number_of_calls() -> None:
    """A caller that submits faster than the backend computes is held up; memory stays bounded, and nothing is lost."""
    release = threading.Event()
    computed: list[int] = []

    def wait(feeds: Any) -> dict[str, Array]:
        release.wait(30)
        computed.append(int(feeds["b"][0, 0]))
        return {"y": feeds["a"]}

    futures: list[Future[Any]] = []
    a = np.zeros((1, 2), np.float32)

    def feed(session: Session) -> None:
        for number in range(100):
            futures.append(session.submit(a=a, b=np.full((1, 1), number)))  # noqa: PERF401 - it is looked at meanwhile

    with Session(FakeBackend(PAIR, wait)) as session:
        feeder = threading.Thread(target=feed, args=(session,))
        feeder.start()
        time.sleep(0.2)
        held = len(futures)
        assert 32 < held < 100
        release.set()
        feeder.join(30)
    assert sorted(computed) == list(range(100))
    assert all(future.done() for future in futures)


def test_submit_runs_as_many_at_once_as_the_backend() -> None:
    """A backend that runs two calls side by side is given two at a time by submit, and no more."""
    together = threading.Barrier(2)
    lock, running, most = threading.Lock(), 0, 0

    class Two(FakeBackend):
        concurrency = 2

    def meet(feeds: Any) -> dict[str, Array]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(10)  # broken, and an error, if no other call comes
        time.sleep(0.005)
        with lock:
            running -= 1
        return {"y": feeds["a"]}

    with Session(Two(PAIR, meet)) as session:
        feeds = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 1), np.int64)}
        for future in [session.submit(feeds) for _ in range(10)]:
            future.result(10)
    assert most == 2


def test_callbacks_of_two_sessions_submit_to_each_other() -> None:
    """No worker waits for room, whichever session it is of, so that two sessions cannot wait for each other."""
    feeds = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 1), np.int64)}
    answered = threading.Semaphore(0)
    with Session(FakeBackend(PAIR)) as one, Session(FakeBackend(PAIR)) as other:
        for first, second in ((one, other), (other, one)):
            for _ in range(50):

                def go_on(_: Any, second: Session = second) -> None:
                    for _ in range(5):
                        second.submit(feeds).add_done_callback(lambda _: answered.release())

                first.submit(feeds).add_done_callback(go_on)
        assert all(answered.acquire(timeout=10) for _ in range(500))


def test_closed_while_submit_waits() -> None:
    """A call that waits for its turn to be submitted does not hold up close(), and is told."""
    release, waiting = threading.Event(), threading.Event()
    session = Session(_held(release))
    feeds = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 1), np.int64)}
    ended: list[Any] = []

    def feed() -> None:
        try:
            for number in range(100):
                if number == 36:
                    waiting.set()
                session.submit(feeds)
        except SessionClosedError as error:
            ended.append(error)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert waiting.wait(10)
    closer = threading.Thread(target=session.close)
    closer.start()
    time.sleep(0.05)
    release.set()
    closer.join(10)
    feeder.join(10)
    assert not closer.is_alive()
    assert not feeder.is_alive()
    assert len(ended) == 1


def test_a_cancelled_call_gives_its_inputs_back() -> None:
    """What was submitted and cancelled holds no memory, though calls before it still wait for their turn."""
    release = threading.Event()
    with Session(_held(release)) as session:
        first = [session.submit(a=np.zeros((1, 2), np.float32), b=np.zeros((1, 1), np.int64)) for _ in range(4)]
        tracemalloc.start()
        for _ in range(200):
            session.submit(a=np.zeros((10_000, 2), np.float32), b=np.zeros((10_000, 1), np.int64)).cancel()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        release.set()
        assert all(future.result(10) for future in first)
    assert held < 1_600_000  # ten times as much were given, and one call takes 160 kB


def test_submit_from_a_callback() -> None:
    """A future's callback may submit more than there is room for: a worker never waits for itself."""
    feeds = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 1), np.int64)}
    more: list[Future[Any]] = []
    submitted = threading.Event()

    def go_on(_: Any) -> None:
        more.extend(opened.submit(feeds) for _ in range(100))
        submitted.set()

    release = threading.Event()
    with Session(_held(release)) as opened:
        opened.submit(feeds).add_done_callback(go_on)
        release.set()
        assert submitted.wait(10)
        assert all(future.result(10).y.shape == (1, 2) for future in more)


def test_submit_takes_its_inputs_at_once() -> None:
    """The caller may reuse its array as soon as submit() is back."""
    release = threading.Event()
    with Session(_held(release)) as session:
        a = np.zeros((1, 2), np.float32)
        future = session.submit(a=a, b=np.zeros((1, 1), np.int64))
        a[:] = 9
        release.set()
        np.testing.assert_array_equal(future.result(10).y, np.zeros((1, 2)))


def test_many_threads() -> None:
    """Calls from many threads at once each get the answer to their own question."""
    backend = FakeBackend(PAIR, lambda feeds: {"y": feeds["a"] * 2})
    wrong: list[int] = []
    with Session(backend) as session:

        def work(number: int) -> None:
            for _ in range(50):
                a = np.full((1, 2), number, np.float32)
                if not (session(a=a, b=np.zeros((1, 1), np.int64)).y == 2 * number).all():
                    wrong.append(number)

        in_threads(16, work)
    assert wrong == []
    assert len(backend.calls) == 800


# ---- the fake ----------------------------------------------------------------------------------------------------


def test_fake_reports_and_resolves_sizes() -> None:
    """Dynamic sizes come from the inputs, or are given; one that is neither is asked for."""
    signature = Signature((TensorSpec("x", F32, ("N",)),), (TensorSpec("y", F32, ("N", "K")),))
    with Session(FakeBackend(signature, sizes={"K": 4})) as session:
        assert session(np.zeros(3, np.float32)).y.shape == (3, 4)
        assert session.report() == {"backend": "fake", "device": "none", "calls": 1}
    with Session(FakeBackend(signature)) as session, pytest.raises(BackendError, match="needs the size of K"):
        session(np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({}, "returned no 'y'"),
        (None, "returned NoneType, expected a mapping"),
        ({"y": np.zeros((1, 2))}, "returned output 'y' as float64"),
        ({"y": np.zeros((1, 3), np.float32)}, r"\[1, 3\], expected float32 \[N, 2\]"),
        (ZeroDivisionError("ha"), "raised ZeroDivisionError"),
    ],
)
def test_fake_finds_a_wrong_function(result: Any, message: str) -> None:
    """The function behind the fake is held to the signature."""

    def compute(feeds: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    with Session(FakeBackend(PAIR, compute)) as session, pytest.raises(BackendError, match=message) as caught:
        session(a=np.zeros((1, 2), np.float32), b=np.zeros((1, 1), np.int64))
    assert isinstance(caught.value, OnepassError)
    assert isinstance(caught.value.__cause__, type(result) if isinstance(result, Exception) else type(None))
