"""Commands on ONNX Runtime's CUDA provider, on a stand-in."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from onepass import InputError
from onepass.cli import cli
from tests.runtime.gpu import fake_cuda_provider
from tests.runtime.three import THREE


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file with the three-headed model."""
    THREE.graph.save(tmp_path / "three.onnx")
    return str(tmp_path / "three.onnx")


@pytest.mark.parametrize(
    ("options", "opened"),
    [
        ([], {"use_tf32": "0", "device_id": "0"}),
        (["--tf32", "--device", "1", "--keep-bytes", "0"], {"use_tf32": "1", "device_id": "1"}),
    ],
)
def test_run(path: str, options: list[str], opened: dict[str, str]) -> None:
    """``run`` takes the GPU, the precision and the memory of results for an ONNX model as for an engine."""
    with fake_cuda_provider(devices=2) as (_, provider):
        result = CliRunner().invoke(cli, ["run", path, "--random", "--provider", "cuda", "--json", *options])
        assert result.exit_code == 0, result.output
        assert list(json.loads(result.output)["outputs"]) == ["zebra", "ant", "monkey"]
        given = dict(provider.opened[0])
        assert given.pop("user_compute_stream")
        assert given == opened


def test_compare(path: str) -> None:
    """``compare`` holds a model on the GPU against the same on the CPU."""
    with fake_cuda_provider() as (_, provider):
        result = CliRunner().invoke(cli, ["compare", path, f"{path}@cuda,tf32=true,device=0", "--json"])
        assert result.exit_code == 0, result.output
        assert [options["use_tf32"] for options in provider.opened] == ["1"]


def test_what_is_for_a_gpu_is_refused_on_the_cpu(path: str) -> None:
    """A precision or a GPU that the provider does not have is an error in the command's words."""
    for option in (["--tf32"], ["--device", "0"]):
        result = CliRunner().invoke(cli, ["run", path, "--random", *option])
        assert isinstance(result.exception, InputError)
