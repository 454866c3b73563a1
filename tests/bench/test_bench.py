"""Models measured side by side: who was called, how often, in which order; never how fast."""

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import BackendError, InputError, OutputNameError, Session, load
from onepass._printable import printable
from onepass.bench import Benchmark, Latency, Row, _opening, bench
from onepass.bench._inputs import batch_inputs, batch_of
from onepass.bench._measure import Patience, time_callers, time_calls
from onepass.bench.report import benchmark_drawing, benchmark_page, tick_text, time_ticks
from onepass.opening import ModelChoice
from onepass.runtime import ModelSpec
from onepass.runtime.fake import FakeBackend
from tests.endless import endless
from tests.zoo import BY_NAME, model

_QUICK: dict[str, Any] = {"seconds": 0.2, "warm_up_seconds": 0.0, "processes": 0}


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A file with the three-headed model."""
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


def test_calls_take_turns() -> None:
    """In every round each call has one turn, in changing order."""
    made: list[str] = []
    calls = [lambda name=name: made.append(name) for name in "abc"]
    timings = time_calls(calls, Patience(seconds=0.2, spread=0, warm_up_seconds=0))
    warm_up, measured = made[:9], made[9:]
    assert warm_up == [*"aaabbbccc"]
    assert len(timings[0].seconds) == len(timings[2].seconds) == len(measured) // 3
    rounds = ["".join(measured[i : i + 3]) for i in range(0, len(measured), 3)]
    assert all(set(each) == set("abc") for each in rounds)
    assert len(set(rounds[:200])) == 6


def test_measuring_stops_when_enough_is_known() -> None:
    """Steady calls are measured a hundred times or so, not until the time is up."""
    begin = time.perf_counter()
    timings = time_calls([lambda: time.sleep(1e-3)], Patience(seconds=60, spread=0.5, warm_up_seconds=0))
    assert 100 <= timings[0].seconds.size <= 1000
    assert time.perf_counter() - begin < 50


def test_callers_call_at_once() -> None:
    """With several callers as many calls are under way together, and every model has its blocks."""
    inside, most = [0], [0]

    def call() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(1e-3)
        inside[0] -= 1

    timings = time_callers([call, call], 4, Patience(seconds=0.4, warm_up_seconds=0))
    assert 2 <= most[0] <= 4
    assert [timing.rounds.size for timing in timings] == [8, 8]
    assert all(timing.seconds.size >= 8 * 4 for timing in timings)


def test_a_caller_that_fails() -> None:
    """What a call raises in a thread is raised where it was asked for."""

    def call() -> None:
        if len(made) > 3:
            raise BackendError("out of memory")
        made.append(1)

    made: list[int] = []
    with pytest.raises(BackendError, match="out of memory"):
        time_callers([call], 2, Patience(seconds=0.1, warm_up_seconds=0))


def test_rows_and_ratios(three: Path) -> None:
    """Every model has a row for each batch and number of callers; the first is what the others are over."""
    result = bench([three, ModelChoice(three, label="again")], batches=(1, 4), callers=(1, 2), **_QUICK)
    assert [(row.model, row.batch, row.callers) for row in result.rows] == [
        (name, batch, callers) for batch in (1, 4) for callers in (1, 2) for name in (str(three), "again")
    ]
    for row in result.rows:
        assert (row.ratio is None) == (row.model == str(three))
        assert 0 < row.latency.minimum <= row.latency.median <= row.latency.p90 <= row.latency.p99
        assert row.throughput > 0
        assert row.device == {}
    assert result.models == (str(three), "again")
    assert json.loads(json.dumps(result.to_json()))["rows"][1]["ratio"]["value"] > 0


def test_threads_are_models_of_their_own(three: Path) -> None:
    """Each number of CPU threads is measured as a model, and opened with that many."""
    result = bench([three], threads=(1, 2), **_QUICK)
    assert result.models == (f"{three}@threads=1", f"{three}@threads=2")
    assert [report["threads"] for report in result.reports.values()] == [1, 2]


def test_what_opening_takes(three: Path) -> None:
    """A fresh process opens the model: import, load and first call are parts of its cold start."""
    result = bench([three], **{**_QUICK, "processes": 1})
    opening = result.openings[str(three)]
    parts = opening.import_seconds + opening.load_seconds + opening.first_call_seconds
    assert 0 < parts <= opening.cold_seconds
    assert opening.host_bytes is None or opening.host_bytes >= 0


def test_a_process_that_fails(tmp_path: Path) -> None:
    """If the model does not run in a process of its own, that process's message is shown."""
    model("(float[N] x) => (float[N] y) { y = Abs (x) }").save(tmp_path / "m.onnx")
    with pytest.raises(BackendError, match="did not open in a separate process: the ONNX Runtime provider") as caught:
        bench([ModelChoice(tmp_path / "m.onnx", provider="nonsense")], **{**_QUICK, "processes": 1})
    assert "Traceback" not in str(caught.value)


def test_a_process_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that never gives its first outputs is told of when the time for that is over."""
    onnx.save(endless(), tmp_path / "m.onnx")
    monkeypatch.setattr(_opening, "_TIMEOUT_SECONDS", 1)
    with pytest.raises(BackendError, match="in a separate process took more than 1 s; ended"):
        _opening.measure_opening(
            ModelSpec(str(tmp_path / "m.onnx")), batch=1, sizes={}, shapes={}, outputs=None, processes=1
        )


def test_a_process_ends_with_the_one_that_measures(tmp_path: Path) -> None:
    """When whoever measures is killed, its end of the child's standard input closes, and the child ends."""
    onnx.save(endless(), tmp_path / "m.onnx")
    spec = ModelSpec(str(tmp_path / "m.onnx")).to_json()
    job = {"spec": spec, "batch": 1, "sizes": {}, "shapes": {}, "outputs": None, "begin": 0.0}
    command = [sys.executable, "-m", "onepass.bench._opening", json.dumps(job)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == 1


class _Profiled(Session):
    """A session whose backend measures parts of a call, as that of an engine does."""

    def profile(self, *inputs: Any, **named: Any) -> dict[str, float]:
        return {"gpu_compute_ms": 0.5, "h2d_ms": 0.1}


def test_device_times() -> None:
    """What the backend measures itself is shown by trtexec's names."""
    fake = _Profiled(FakeBackend(BY_NAME["three heads"].graph.signature), name="fake")
    result = bench([fake], batches=(2,), **_QUICK)
    assert result.rows[0].device == {"gpu_compute_ms": 0.5, "h2d_ms": 0.1}
    assert not fake.closed
    assert "gpu compute ms" in benchmark_page(result)


def test_pages_are_sound(three: Path) -> None:
    """The drawing is XML, with a mark for each row, and neither it nor the page loads anything."""
    for batches, callers in (((1, 2, 16), (1,)), ((1,), (1, 2))):
        result = bench(
            [three, ModelChoice(three, label="<b>&\x1b[31m\u202e")], batches=batches, callers=callers, **_QUICK
        )
        drawing = benchmark_drawing(result)
        circles = ET.fromstring(drawing).iter("{http://www.w3.org/2000/svg}circle")
        assert len(list(circles)) == len(result.rows)
        assert "Latency per call, by batch size" in drawing
        page = benchmark_page(result)
        assert "<b>&" not in page
        assert "&lt;b&gt;&amp;\\x1b[31m\\u202e" in page
        assert printable(page + drawing, lines=True) == page + drawing
        assert "http" not in page


def test_inputs_of_ones_own() -> None:
    """Given inputs are what is called with, and their batch is that of the rows."""
    animal = BY_NAME["three heads"]
    backend = FakeBackend(animal.graph.signature)
    result = bench([Session(backend)], inputs={"x": np.ones((7, 4), np.float32)}, **_QUICK)
    assert [row.batch for row in result.rows] == [7]
    assert {call[0]["x"] for call in backend.calls} == {(7, 4)}


def test_nothing_to_measure(three: Path) -> None:
    """No model, the same twice, and batches that are none are refused before anything is opened."""
    with pytest.raises(InputError, match="no model to measure"):
        bench([], **_QUICK)
    with pytest.raises(InputError, match="is given twice"):
        bench([three, three], **_QUICK)
    with pytest.raises(InputError, match="batches must be whole numbers ≥ 1"):
        bench([three], batches=(0,), **_QUICK)
    fixed = model("(float[3, 2] x) => (float[3, 2] y) { y = Abs (x) }")
    with pytest.raises(InputError, match=r"batch size is fixed \(x float32 \[3, 2\]\)"):
        bench([fixed], batches=(4,), **_QUICK)


@pytest.mark.parametrize(
    ("edge", "shape"),
    [("N, 4", (5, 4)), ("?, 4", (5, 4)), ("5, 4", (5, 4)), ("N, M", (5, 1)), ("", ())],
)
def test_batch_inputs(edge: str, shape: tuple[int, ...]) -> None:
    """The first dimension is the batch, whether it has a name, none, or that very size."""
    dims = f"[{edge.replace('?', 'Q')}]" if edge else ""
    graph = model(f"(float{dims} x) => (float{dims} y) {{ y = Abs (x) }}")
    if "?" in edge:
        graph.proto.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    feeds = batch_inputs(graph.signature, 5)
    assert feeds["x"].shape == shape
    assert batch_of(feeds) == (5 if shape else 1)
    with load(graph) as session:
        session(feeds)


def test_sizes_say_the_batch() -> None:
    """Rows name as many items as there are, also where they are given by the name of a size; never both."""
    graph = model("(float[2, batch, T] x) => (float[2, batch, T] y) { y = Abs (x) }")
    for items in (0, 3):
        (row,) = bench([graph], sizes={"batch": items, "T": 4}, **_QUICK).rows
        assert row.batch == items
        assert (row.throughput > 0) == (items > 0)
    (row,) = bench([graph], sizes={"T": 4}, batches=(2,), **_QUICK).rows
    assert row.batch == 2
    with pytest.raises(InputError, match="omit batches="):
        bench([graph], sizes={"batch": 3}, batches=(1, 8), **_QUICK)


def test_memory_is_the_models_own(three: Path) -> None:
    """A process that is large itself measures what opening a model takes, not what it takes itself."""
    ballast = bytearray(b"x") * (300 << 20)
    opening = bench([three], processes=1, seconds=0.05, warm_up_seconds=0.0).openings[str(three)]
    assert len(ballast) > (opening.host_bytes or 0) > 1 << 20


def test_chosen_outputs(three: Path) -> None:
    """Calls ask for the chosen outputs only; a name that is none is told."""
    asked: list[tuple[str, ...]] = []

    class Noting(FakeBackend):
        def run(self, feeds: Any, names: Any) -> Any:
            asked.append(tuple(names))
            return super().run(feeds, names)

    with Session(Noting(BY_NAME["three heads"].graph.signature)) as session:
        bench([session], outputs=["ant"], **_QUICK)
    assert set(asked) == {("ant",)}
    with pytest.raises(OutputNameError, match="no output 'aunt'"):
        bench([three], outputs="aunt", **_QUICK)


def test_whole_shapes() -> None:
    """A whole shape sizes what has no name, and says how many items there are."""
    graph = model("(float[A, 3, B] x) => (float[A, 3, B] y) { y = Neg (x) }")
    for value in (*graph.proto.graph.input, *graph.proto.graph.output):
        value.type.tensor_type.shape.dim[2].dim_param = "?"
    rows = bench([graph], shapes={"x": (4, 3, 48)}, **_QUICK).rows
    assert [row.batch for row in rows] == [4]
    with pytest.raises(InputError, match="omit batches="):
        bench([graph], shapes={"x": (4, 3, 48)}, batches=(1, 8), **_QUICK)


def test_the_batch_is_found_by_its_name() -> None:
    """A recurrent state has its batch on another axis; it is as large there."""
    signature = BY_NAME["a batch that is not first"].graph.signature
    feeds = batch_inputs(signature, 8, sizes={"time": 5})
    assert {name: array.shape for name, array in feeds.items()} == {"x": (8, 5), "state": (2, 8, 4)}


@given(st.floats(1e-4, 1e5), st.floats(1.2, 1e4))
def test_ticks_are_few_and_round(low: float, ratio: float) -> None:
    """Whatever the range of times, the axis has one to nine ticks within it, none longer than its digits."""
    ticks = time_ticks(low, low * ratio)
    assert 1 <= len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    assert all(low * 0.99 <= tick <= low * ratio * 1.01 for tick in ticks)
    assert all(len(tick_text(tick).strip("0.").replace(",", "")) <= 16 for tick in ticks)


@given(st.integers(1, 10), st.sets(st.integers(1, 512), min_size=1, max_size=6))
def test_no_bar_covers_another(count: int, batches: set[int]) -> None:
    """Points of one batch size stand side by side, and none reaches the next batch size."""
    latency = Latency(2e-3, 3e-3, 4e-3, 1e-3, 2e-3, 100)
    rows = tuple(Row(f"m{index}", batch, 1, latency, 1.0, None) for batch in sorted(batches) for index in range(count))
    machine = {"processor": "", "cores": 1, "system": ""}
    drawing = benchmark_drawing(Benchmark(rows, {}, {row.model: {} for row in rows}, machine))
    circles = list(ET.fromstring(drawing).iter("{http://www.w3.org/2000/svg}circle"))
    places = sorted(float(each.attrib["cx"]) for each in circles)
    assert len(places) == len(rows)
    by_batch = [[float(each.attrib["cx"]) for each in circles if f"batch {batch}:" in (each[0].text or "")]
                for batch in sorted(batches)]  # fmt: skip
    assert [place for group in by_batch for place in group] == places
    assert 72 < places[0] <= places[-1] < 880
