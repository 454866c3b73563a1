"""Batches on a Ray cluster of two machines, which are one: the same files, whatever is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import onepass
import onepass.batch
from onepass import BackendError, DeviceError, InputError, ModelSpec
from onepass.batch import _ray
from tests.batch.rows import arrays, assert_direct, read
from tests.zoo import model

ray: Any = pytest.importorskip("ray", reason="make test-batch runs these")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


class _Cluster:
    """Two machines with two CPUs each, of which the first claims two GPUs."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 2, "num_gpus": 2, "include_dashboard": False}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._second: Any = self._cluster.add_node(num_cpus=2)
        ray.init(address=self._cluster.address, log_to_driver=False)

    def lose_second(self) -> None:
        """Let the second machine go, as by a failure."""
        self._cluster.remove_node(self._second, allow_graceful=False)

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[_Cluster]:
    """The cluster, to which this process is connected."""
    made = _Cluster()
    yield made
    made.close()


class _Holder:
    """Holds what it is given."""

    def here(self) -> bool:
        """Say so."""
        return True


def _workers_of_ray() -> list[int]:
    """Process ids of the actors of Ray that do parts."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and b"MapWorker" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_the_same_files(cluster: _Cluster, heads: Path, bad_table: Path, x: Any, tmp_path: Path) -> None:
    """Ray on two machines makes the files that this machine makes, byte for byte, rows with errors among them."""
    told: list[onepass.batch.Progress] = []
    options: Mapping[str, Any] = {
        "preprocess": "tests.batch.functions:raising", "rows_a_part": 10, "progress": told.append
    }  # fmt: skip
    local = onepass.batch.run(heads, bad_table, tmp_path / "local", **options)
    made = onepass.batch.run(heads, bad_table, tmp_path / "ray", engine="ray", workers=2, **options)
    assert made.parts == local.parts
    assert_direct(read(made), heads, {"x": x}, but=(42,))
    assert (told[-1].done, told[-1].errors) == (len(x), 1)


def test_gpus_are_dealt_out(
    cluster: _Cluster, heads: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that need a GPU get one each; where there are too few, that is said at once."""
    monkeypatch.setattr(_ray, "share_of", lambda model: {"num_gpus": 1})
    made = onepass.batch.run(
        heads, table, tmp_path / "out", engine="ray", rows_a_part=10, preprocess="tests.batch.functions:on_gpu"
    )
    seen = [row[0] for row in arrays(read(made), "monkey")]
    assert set(seen) == {0.0, 1.0}, "the number of the GPU that a worker sees"
    with pytest.raises(DeviceError, match=r"3 worker\(s\) need 3 GPU\(s\), but the Ray cluster has 2"):
        onepass.batch.run(heads, table, tmp_path / "three", engine="ray", workers=3)


def test_what_a_worker_takes(heads: Path) -> None:
    """A model takes a CPU, or as many GPUs as it is opened on, which a worker numbers from 0."""
    assert _ray.share_of(ModelSpec(heads)) == {"num_cpus": 1}
    assert _ray.share_of(ModelSpec(heads, providers=["cuda"])) == {"num_gpus": 1}
    assert _ray.share_of(ModelSpec(heads, device=(2, 3))) == {"num_gpus": 2}
    with pytest.raises(InputError, match="number of GPUs per worker"):
        _ray.share_of(ModelSpec(heads, device="all"))


def test_a_cpu_is_left_to_ray(cluster: _Cluster, heads: Path, table: Path, tmp_path: Path) -> None:
    """Workers on every CPU would let Ray stand still for ever."""
    with pytest.raises(InputError, match=r"workers=4 would take all 4 CPU\(s\).*use at most workers=3"):
        onepass.batch.run(heads, table, tmp_path / "out", engine="ray", workers=4)


def test_no_progress_is_said(cluster: _Cluster, heads: Path, table: Path, tmp_path: Path) -> None:
    """Where others hold all that the workers wait for, the batch ends after its patience, and says so."""
    holders: list[Any] = [ray.remote(_Holder).options(num_cpus=1).remote() for _ in range(4)]
    ray.get([each.here.remote() for each in holders])
    begin = time.monotonic()
    with pytest.raises(BackendError, match=r"the Ray cluster finished no row for 3 s \(CPU 0 of 4 free"):
        onepass.batch.run(heads, table, tmp_path / "out", engine="ray", workers=1, patience_s=3)
    assert time.monotonic() - begin < 60
    for each in holders:
        ray.kill(each)


def test_infer_in_a_pipeline(cluster: _Cluster, tmp_path: Path) -> None:
    """`Infer` in Ray Data: blocks whose rows happen to be alike, and those whose rows are not, have one schema."""
    model("(float[N, L] x) => (float[N, L] y) { y = Neg (x) }").save(tmp_path / "m.onnx")
    rows = [[1.0] * length for length in (2, 2, 1, 3)]
    data = ray.data.from_arrow([pa.table({"x": pa.array(rows[at : at + 2], pa.list_(pa.float32()))}) for at in (0, 2)])
    done = data.map_batches(
        onepass.batch.Infer, fn_constructor_args=(str(tmp_path / "m.onnx"),), batch_format="pyarrow", batch_size=2,
        compute=ray.data.ActorPoolStrategy(size=1),
        ray_remote_args_fn=lambda: {"max_restarts": 2, "max_task_retries": 2},
    )  # fmt: skip
    blocks = [ray.get(block) for block in done.to_arrow_refs()]
    assert sorted(row for block in blocks for row in block["y"].to_pylist()) == sorted(
        [-1.0] * len(row) for row in rows
    )
    assert len({str(block.schema) for block in blocks}) == 1


def test_whatever_is_lost(cluster: _Cluster, heads: Path, table: Path, x: Any, tmp_path: Path) -> None:
    """A worker that is killed, and a machine that is lost, cost time and no row; none is there twice."""
    out = tmp_path / "out"

    def parts() -> int:
        return len(list(out.glob("part-*")))

    def harm() -> None:
        while parts() < 2:
            time.sleep(0.02)
        os.kill(_workers_of_ray()[0], signal.SIGKILL)
        while parts() < 6:
            time.sleep(0.02)
        cluster.lose_second()

    harmful = threading.Thread(target=harm)
    harmful.start()
    made = onepass.batch.run(
        heads, table, out, engine="ray", workers=2, rows_a_part=5, preprocess="tests.batch.functions:slow",
        patience_s=120,
    )  # fmt: skip
    harmful.join()
    assert_direct(read(made), heads, {"x": x})
