"""Build an engine: from an ONNX graph to a `Plan`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from onepass._errors import BuildError, InputError
from onepass._packages import builder_command
from onepass.builder._cache import cache_key, cached
from onepass.builder._config import add_profiles, check_options, configure, timing_cache
from onepass.builder._constraints import keep_layers_float32, reduced_types_in
from onepass.builder._edges import Prepared
from onepass.builder._gpu import current_gpu
from onepass.builder._graph import Ready, digest_of, digest_of_model, graph_of, ready_for, settled
from onepass.builder._layers import check_precision, layer_types
from onepass.builder._network import new_builder, parse
from onepass.builder._plugins import plugins_of
from onepass.builder._progress import Progress, Watch, make_monitor, run_stoppable
from onepass.builder._reasons import explained
from onepass.builder._weights import weight_sizes
from onepass.builder.interface import IoFormats, PictureInput
from onepass.builder.options import BuildOptions, HardwareLevel, Range, Ranges
from onepass.drafts import check_target
from onepass.engine.flavor import Flavor, find_flavor, find_flavors
from onepass.engine.log import get_logger
from onepass.engine.plan import Plan
from onepass.engine.plugins import Plugin
from onepass.graph import OnnxGraph


def build(
    model: str | os.PathLike[str] | bytes | OnnxGraph,
    engine: str | os.PathLike[str] | None = None,
    *,
    shapes: Ranges | Sequence[Ranges] = (),
    batch: Range | None = None,
    sizes: Ranges | None = None,
    values: Ranges | None = None,
    precision: str | Sequence[str] = "fp32",
    keep_float32: str | Sequence[str] = (),
    reduced_io: bool = False,
    tf32: bool = False,
    workspace_bytes: int | None = None,
    optimization_level: int | None = None,
    hardware_compatible: HardwareLevel | None = None,
    version_compatible: bool = False,
    strip: bool = False,
    refit: bool = False,
    timing_cache: str | os.PathLike[str] | None = None,
    tactic_sources: str | Sequence[str] | None = None,
    outputs: str | Sequence[str] | None = None,
    mark_all_outputs: bool = False,
    target_sm: str | Sequence[str] = (),
    plugins: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    picture_inputs: Mapping[str, PictureInput | str] | None = None,
    input_io_formats: IoFormats = (),
    output_io_formats: IoFormats = (),
    sparsity: bool = False,
    dla: int | None = None,
    gpu_fallback: bool = False,
    flavor: str | None = None,
    cache: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Build a TensorRT engine from an ONNX model.

    Example::

        onepass.build("elg.onnx", "elg.engine", precision="fp16", batch=(1, 8, 64))

    Args:
        model: Path of an ONNX file, its bytes, or a graph.
        engine: Where to write the engine. A sidecar, ``<engine>.json``, is written beside it; it holds what the engine
            lacks: the model's output order, names and dtypes, and the engine's provenance.
        shapes: Input name to one shape or to (min, opt, max) shapes; for an input with a single dynamic dimension also
            to (min, opt, max) sizes of this dimension. A sequence of such mappings gives one profile each.
        batch: First dimension of every input where this dimension is dynamic: a size, or (min, opt, max).
        sizes: Name of a dynamic dimension to a size, or (min, opt, max), for every input with this dimension.
        values: Input name to (min, opt, max) values, for inputs whose values determine the shapes of other tensors.
        precision: One or more of ``"fp32"`` (default), ``"fp16"``, ``"bf16"``, ``"int8"``, ``"fp8"``; or ``"best"``:
            float16, plus int8 if the model has QuantizeLinear and DequantizeLinear nodes. ``"int8"`` and ``"fp8"`` need
            a model with such nodes. Softmax, sums and small layers at the end stay float32. If no layer computes in the
            requested precision, the build fails.
        keep_float32: Names of nodes, inner tensors or outputs to compute in float32 nevertheless. For an output, all
            nodes that serve only this output stay float32.
        reduced_io: Whether float32 inputs and outputs become float16 (bfloat16), too.
        tf32: Whether float32 products may use TF32, with 10-bit mantissas. TensorRT's own default is yes.
        workspace_bytes: Scratch memory that a layer may use.
        optimization_level: 0 (fastest build) … 5 (fastest engine).
        hardware_compatible: ``"ampere_plus"`` or ``"same_compute_capability"``: support more GPUs than this machine's.
        version_compatible: Whether later versions of TensorRT can run the engine.
        strip: Whether to omit the weights, which are in the ONNX file; refitting puts them back.
        refit: Whether the engine's weights can be replaced later.
        timing_cache: File in which kernel timings are kept for later builds.
        tactic_sources: Libraries that kernels may come from, such as ``["CUBLAS", "EDGE_MASK_CONVOLUTIONS"]``.
        outputs: Outputs to build, in this order; inner tensors are allowed.
        mark_all_outputs: Whether every inner tensor becomes an output, too.
        target_sm: Compute capabilities to build for (``"8.9"``); the GPU need not be present (TensorRT-RTX).
        plugins: Libraries with plugins that the model needs: operators that TensorRT does not have. A library is code,
            and running the engine needs it, too: ``onepass.load(engine, plugins=[…])``.
        picture_inputs: Input name to the conversion from pictures as a decoder returns them, uint8 [N, H, W, C]:
            ``"bgr,0.485:0.456:0.406,0.229:0.224:0.225"`` (channel order, mean, standard deviation), or a
            `PictureInput`.
        input_io_formats: Types of inputs that differ from the model's: by name, ``{"image": "fp16"}``, or one per input
            in the model's order, as in trtexec.
        output_io_formats: Types of outputs, likewise.
        sparsity: Whether kernels may skip zero weights in a 2:4 pattern.
        dla: Number of the deep-learning accelerator to build for (Jetson).
        gpu_fallback: Whether layers that the accelerator does not support may run on the GPU.
        flavor: The TensorRT that builds: ``"tensorrt"`` or ``"tensorrt_rtx"``; by default the first one installed.
        cache: Whether to look up the engine in the engine cache, and to keep it there.
        progress: Called with a `Step` during the build, if TensorRT reports progress (10 and later, TensorRT-RTX). An
            exception from it ends the build.

    Returns:
        The engine and its metadata; in memory if neither `engine` nor `cache` is given.

    Raises:
        ModelError: The model cannot be used; the subclass says why.
        InputError: An option is wrong, or not supported by the installed TensorRT.
        MissingExtraError: TensorRT is not installed.
        BuildError: TensorRT cannot read the model, or failed to build it; the attribute ``log`` has its log.
        KeyboardInterrupt: On Ctrl-C. Nothing is written then.
    """
    words = locals()  # only the parameters, as this is the first statement
    given = {each.name: words[each.name] for each in fields(BuildOptions) if words[each.name] is not None}
    return build_with(model, engine, BuildOptions(**given), flavor=flavor, cache=cache, progress=progress)[0]


def build_with(
    model: str | os.PathLike[str] | bytes | OnnxGraph,
    engine: str | os.PathLike[str] | None,
    options: BuildOptions,
    *,
    flavor: str | None = None,
    cache: bool = False,
    progress: Progress | None = None,
) -> tuple[Plan, bool]:
    """Build an engine like `build`; also return whether the engine was in the cache."""
    if engine is not None and not Path(engine).absolute().parent.is_dir():
        raise InputError(f"the engine cannot be written to {os.fspath(engine)}: the folder does not exist")
    if engine is not None:
        try:
            check_target(engine)
        except OSError as error:
            raise InputError(f"the engine cannot be written to {os.fspath(engine)}: {error.strerror}") from error
    graph = graph_of(model)
    builder = find_builder(flavor)
    options = settled(options, graph)
    check_options(builder, options, graph.proto)
    digest = digest_of_model(model, graph)

    def make() -> Plan:
        return plan_from_graph(graph, options, flavor=builder, progress=progress, onnx_sha256=digest)

    plan, known = cached(cache_key(digest, options, builder), make) if cache else (make(), False)
    return (plan if engine is None else plan.save(engine)), known


def find_builder(name: str | None = None) -> Flavor:
    """Return a TensorRT that can build: the given flavour, or the first installed one that can.

    Raises:
        MissingExtraError: TensorRT is not installed.
        BuildError: The installed TensorRT has no builder (the lean and dispatch runtimes).
    """
    if name is None:
        for flavor in find_flavors():
            if flavor.can_build:
                return flavor
    flavor = find_flavor(name)
    if not flavor.can_build:
        raise BuildError(
            f"{flavor} runs engines but cannot build them. Install a TensorRT that can with: {builder_command()}"
        )
    return flavor


def plan_from_graph(
    graph: OnnxGraph,
    options: BuildOptions | None = None,
    *,
    flavor: Flavor | None = None,
    progress: Progress | None = None,
    onnx_sha256: str | None = None,
) -> Plan:
    """Build an engine.

    Args:
        graph: The model.
        options: Build options.
        flavor: The TensorRT that builds; by default the first one that can.
        progress: Called with a `Step` during the build, if the flavour reports progress; an exception ends the build.
        onnx_sha256: Digest of the graph's file, for the sidecar; by default the digest of the graph.

    Raises:
        InputError: An option is wrong, or not supported by this flavour.
        UnsupportedModelError: TensorRT does not support an input or output of the model, or no node can be reduced.
        BuildError: TensorRT cannot read the model, or failed to build it; its log is in the exception.
    """
    options = options or BuildOptions()
    flavor = flavor or find_builder()
    options = settled(options, graph)
    check_options(flavor, options, graph.proto)
    onnx_sha256 = onnx_sha256 or digest_of(graph)
    ready = ready_for(graph, options, flavor)
    watch = Watch(progress)
    begin = time.perf_counter()
    built = run_stoppable(lambda: _serialize(ready, options, flavor, watch), watch, stops=flavor.has_progress_monitor)
    kind = options.reduced_type
    if kind:
        check_precision(flavor, options.precision, built.types)
    gpu = current_gpu()
    return Plan(
        engine=built.engine,
        engine_sha256=sha256(built.engine).hexdigest(),
        inputs=built.edges.inputs,
        outputs=built.edges.outputs,
        profiles=ready.profiles,
        flavor=flavor.name,
        version=flavor.version,
        gpu=gpu.name if gpu else None,
        compute_capability=_compute_capability(flavor, options, gpu.compute_capability if gpu else None),
        onnx_sha256=onnx_sha256,
        options=options.to_json(),
        build_seconds=round(time.perf_counter() - begin, 3),
        layer_types=built.types,
        control_flow=any(node.op_type in _CONTROL_FLOW for node in ready.prepared.graph.proto.graph.node),
        plugins=built.plugins,
        weight_sizes=built.weight_sizes,
    )


_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})


class _Built(NamedTuple):
    """An engine, its inputs and outputs, its layers by type, its plugins and its refittable weights."""

    engine: bytes
    edges: Prepared
    types: dict[str, int]
    plugins: tuple[Plugin, ...]
    weight_sizes: dict[str, dict[str, int]]


def _serialize(ready: Ready, options: BuildOptions, flavor: Flavor, watch: Watch) -> _Built:
    logger = get_logger(flavor)
    mark = logger.book.mark()
    builder = new_builder(flavor, options.plugins)
    network, parser, named = parse(flavor, builder, ready.prepared)
    nodes = {node.name for node in ready.prepared.graph.proto.graph.node}
    held = reduced_types_in(network) & {*flavor.precision_flags} if options.reduced_type is None else frozenset()
    if ready.kept or held:
        keep_layers_float32(flavor, network, nodes, ready.kept or nodes)
    config = configure(flavor, builder, options, held=held)
    add_profiles(flavor, builder, network, config, named.inputs, ready.profiles)
    if flavor.has_progress_monitor:
        config.progress_monitor = make_monitor(flavor, watch)
    with timing_cache(flavor, config, options.timing_cache):
        serialized = builder.build_serialized_network(network, config)
        if serialized is None:
            raise _build_error(flavor, logger.book.text(mark), ready.prepared.graph)
    engine = bytes(serialized)
    types = layer_types(flavor, engine, network)
    plugins = plugins_of(flavor, parser, ready.prepared.graph)
    sizes = weight_sizes(flavor, network) if options.refit or options.strip else {}
    del parser  # the network uses its memory until here
    return _Built(engine, named, types, plugins, sizes)


def _build_error(flavor: Flavor, log: str, graph: OnnxGraph) -> BuildError:
    errors = [line for line in log.splitlines() if line.startswith(("[ERROR]", "[INTERNAL_ERROR]"))]
    text = "\n".join(errors) or "  (no reason given; logging.getLogger('onepass.tensorrt') has the complete log)"
    return BuildError(f"{flavor} failed to build the engine:\n{explained(flavor, text, graph)}", log=log)


def _compute_capability(flavor: Flavor, options: BuildOptions, here: str | None) -> str | None:
    """Return the compute capability that the engine is bound to; for TensorRT-RTX, the requested ones."""
    if options.target_sm:
        return ",".join(options.target_sm)
    bound = not flavor.has("IBuilderConfig", "set_compute_capability") and options.hardware_compatible != "ampere_plus"
    return here if bound else None
