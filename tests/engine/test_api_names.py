"""Every name of TensorRT's and CUDA's that the code touches exists wherever it is touched, in each flavour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import onepass
from onepass import InputError
from onepass.builder._config import check_options
from onepass.builder.options import BuildOptions
from onepass.engine.flavor import Flavor
from tests.engine.api_names import Problem, Reader, cuda_problems, flavor_of
from tests.fakes.facts import TENSORRT

ROOT = Path(onepass.__file__).parent
FILES = sorted(
    file
    for folder in ("builder", "engine", "runtime")
    for file in (ROOT / folder).rglob("*.py")
    if file.parent.name != "onnxruntime"
)


# Files that are used only with flavours that can do what they are for; the question is asked by who calls them.
ONLY_WHERE: dict[str, Callable[[Flavor], bool]] = {
    "_build.py": lambda flavor: flavor.can_build,
    "_config.py": lambda flavor: flavor.can_build,
    "_network.py": lambda flavor: flavor.can_build,
    "_preview.py": lambda flavor: flavor.can_build,
    "_weights.py": lambda flavor: flavor.can_build,
    "_refit.py": lambda flavor: flavor.can_build,
    "_plugins.py": lambda flavor: flavor.can_build,
    "_layers.py": lambda flavor: flavor.can_build and flavor.can_inspect,
    "layers.py": lambda flavor: flavor.can_inspect,
    "_constraints.py": lambda flavor: bool(flavor.precision_flags),
    "_progress.py": lambda flavor: flavor.has_progress_monitor,
}
# What names of parameters mean in one file only.
KNOWN = {
    "_network.py": {"error": "ParserError", "tensor": "ITensor"},
    "plugins.py": {"registry": "IPluginRegistry"},
    "flavor.py": {"engine": "ICudaEngine"},
    "layers.py": {"engine": "ICudaEngine", "context": "IExecutionContext"},
    "_engine.py": {"context": "IExecutionContext"},
    "_constraints.py": {"layer": "ILayer", "layers": "ILayer", "each": "ITensor"},
}
# Touched only if an option is used that `check_options` refuses where the name is missing; that it does is tested.
REFUSED: dict[str, dict[str, Any]] = {
    "IBuilderConfig has no builder_optimization_level": {"optimization_level": 3},
    "IBuilderConfig has no hardware_compatibility_level": {"hardware_compatible": "ampere_plus"},
    "IBuilderConfig has no num_compute_capabilities": {"target_sm": ("8.9",)},
    "IBuilderConfig has no set_compute_capability": {"target_sm": ("8.9",)},
}


def _problems(file: Path, api: str) -> set[Problem]:
    is_used = ONLY_WHERE.get(file.name)
    if is_used is not None and not is_used(flavor_of(api)):
        return set()
    return Reader(file.name, file.read_text("utf-8"), api, known=KNOWN.get(file.name)).problems


@pytest.mark.parametrize("api", TENSORRT)
def test_every_name_exists_where_it_is_touched(api: str) -> None:
    """In every flavour: what a version lacks is behind a question."""
    problems = [one for file in FILES for one in _problems(file, api) if one.what not in REFUSED]
    assert not problems, "\n".join(map(str, sorted(problems, key=str)))


@pytest.mark.parametrize("what", REFUSED)
def test_options_are_refused_where_their_name_is_missing(what: str) -> None:
    """Each excuse above is needed, and good."""
    lacking = [api for api in TENSORRT if any(one.what == what for file in FILES for one in _problems(file, api))]
    assert lacking
    for api in lacking:
        with pytest.raises(InputError, match="does not support"):
            check_options(flavor_of(api), BuildOptions(**REFUSED[what]), onnx.ModelProto())


def test_the_reader_reads_what_it_should() -> None:
    """What a pass and a build cannot do without is among the names found, so nothing is skipped silently."""
    uses: set[str] = set()
    for file in FILES:
        uses |= Reader(file.name, file.read_text("utf-8"), "10.16.1", known=KNOWN.get(file.name)).uses
    assert uses >= {
        "the module.Runtime", "Runtime.deserialize_cuda_engine", "ICudaEngine.num_io_tensors",
        "ICudaEngine.get_tensor_mode", "IExecutionContext.set_input_shape", "IExecutionContext.set_tensor_address",
        "IExecutionContext.execute_async_v3", "IExecutionContext.set_output_allocator", "the module.IOutputAllocator",
        "the module.Builder", "Builder.create_network", "OnnxParser.parse", "ParserError.desc",
        "IOptimizationProfile.set_shape", "IBuilderConfig.set_flag", "Builder.build_serialized_network",
        "EngineInspector.get_engine_information", "the module.IProgressMonitor", "ILayer.precision", "ITensor.dtype",
    }  # fmt: skip
    assert len(uses) > 70


@pytest.mark.parametrize(
    ("source", "api", "said"),
    [
        ("module.Runtime(logger).deserialise_engine(b'')", "10.16.1", "Runtime has no deserialise_engine"),
        ("flavor.module.TensorLocation.GPU", "10.16.1", "TensorLocation has no GPU"),
        ("module.EngineInspector", "lean-11.4.0", "the module has no EngineInspector"),
        ("self.raw.device_memory_size", "11.4.0", "ICudaEngine has no device_memory_size"),
        ("self._raw.execute_async_v2(0)", "10.0.1", "IExecutionContext has no execute_async_v2"),
        ("hasattr(self.raw, 'device_memory_size_v3')", "10.16.1", "no TensorRT has ICudaEngine.device_memory_size_v3"),
        (
            "flavor.has('IBuilderConfig', 'progres_monitor')",
            "10.16.1",
            "no TensorRT has IBuilderConfig.progres_monitor",
        ),
        ("flavor.member('BuilderFlag', 'FP17')", "10.16.1", "no TensorRT has BuilderFlag.FP17"),
        ("thing.set_tensor_address('x', 0)", "10.16.1", "say in KNOWN what thing is"),
        ("if hasattr(self.raw, 'device_memory_size_v2'):\n  self.raw.device_memory_size", "11.4.0", "has no device_"),
        ("def f(config):\n    config.max_workspace_size = 1", "10.0.1", "IBuilderConfig has no max_workspace_size"),
        ("[network.get_input(i).kind for i in range(3)]", "8.5.3", "ITensor has no kind"),
        ("x = network.get_layer(0)\nfor y in [x]:\n    x.precision", "11.4.0", "ILayer has no precision"),
        ("for n in ('weight_streaming_budgets',):\n    hasattr(self.raw, n)", "8.5.3", "weight_streaming_budgets"),
    ],
)
def test_the_reader_finds(source: str, api: str, said: str) -> None:
    """Misspelt names, names of other versions, questions that nobody could answer with yes, and unknown objects."""
    problems = Reader("here.py", source, api).problems
    assert any(said in one.what for one in problems), problems


@pytest.mark.parametrize(
    "source",
    [
        "if hasattr(self.raw, 'device_memory_size_v2'):\n    1\nelse:\n    self.raw.device_memory_size",
        "def f(self):\n if hasattr(self.raw, 'device_memory_size_v2'):\n  return\n return self.raw.device_memory_size",
        "if flavor.has('EngineInspector'):\n    module.EngineInspector",
        "if flavor.has_progress_monitor and flavor.can_build:\n    config.progress_monitor = 1",
        "x = error.node_name() if hasattr(error, 'node_name') else ''",
        "hasattr(self.raw, 'streamable_weights_size') and self.raw.streamable_weights_size",
        "if not flavor.can_build:\n    raise ValueError\nmodule.Builder(logger)",
    ],
)
@pytest.mark.parametrize("api", TENSORRT)
def test_the_reader_understands_questions(source: str, api: str) -> None:
    """What is behind one is no problem, in any flavour."""
    assert not Reader("here.py", source, api, known={"error": "ParserError"}).problems


def test_every_name_of_cuda_exists() -> None:
    """In both generations of cuda-bindings: functions, enumerations and their members."""
    found = {file.name: cuda_problems(file.name, file.read_text("utf-8")) for file in FILES}
    problems = [one for _, some in found.values() for one in some]
    assert not problems, "\n".join(map(str, problems))
    used = {name for names, _ in found.values() for name in names}
    assert used >= {"cuInit", "cuMemcpyAsync", "cuStreamBeginCapture", "cuGraphLaunch", "CUresult"}


@pytest.mark.parametrize("source", ["driver.cuMemCopy()", "self._driver.CUstream_flags.CU_STREAM_FAST"])
def test_wrong_names_of_cuda_are_found(source: str) -> None:
    """A function or a member that neither has."""
    assert len(cuda_problems("here.py", source)[1]) == 2
