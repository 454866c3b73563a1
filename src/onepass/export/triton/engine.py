"""A TensorRT engine in Triton: by itself if it has the model's names and dtypes, otherwise inside an ensemble.

The ensemble renames tensors. If the engine has another dtype for a tensor, a Python model next to it casts this tensor;
tensors with the model's own dtype bypass the Python model.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from onepass._errors import InputError, UnsupportedModelError
from onepass.engine import Plan
from onepass.export.triton.config import Served, Settings, TritonModel, gpu, model_config
from onepass.export.triton.edges import Batch, declared, engine_batch, example_shapes
from onepass.export.triton.ensemble import around, carried
from onepass.export.triton.files import write_engine
from onepass.export.triton.text import Message
from onepass.runtime.spec import ModelSpec

FILE = "model.plan"
_OPTIONS = ("device", "plugins")  # the options of `ModelSpec` that Triton supports, too


def engine_models(name: str, plan: Plan, spec: ModelSpec, settings: Settings, max_batch: int | None) -> Served:
    """Return the Triton models for an engine.

    Raises:
        UnsupportedModelError: Triton cannot run the engine; the message says why.
        InputError: Triton does not support an option, or the batch size is impossible.
    """
    _check(plan, spec)
    batch = engine_batch(plan.signature, plan.profiles, max_batch)
    inner = name if _is_plain(plan) else f"{name}-engine"
    models = [_engine(inner, plan, spec, settings, batch)]
    if inner != name:
        models += around(name, inner, plan, settings, batch)
    return Served(models, batch, tuple(_notes(plan)))


def _check(plan: Plan, spec: ModelSpec) -> None:
    if plan.flavor != "tensorrt":
        raise UnsupportedModelError(
            f"{spec.path} is a {plan.flavor} engine, which Triton's TensorRT backend cannot run; let onepass run it in "
            "Triton, backend='python', or build an engine with tensorrt"
        )
    if plan.options.get("strip"):
        raise UnsupportedModelError(
            f"{spec.path} was built without weights, and Triton cannot add them; add them first: onepass refit"
        )
    for option in spec.options():
        if option not in _OPTIONS:
            raise InputError(
                f"Triton's TensorRT backend does not support {option}=; omit the option, or let onepass run the engine "
                "in Triton: backend='python'"
            )


def _is_plain(plan: Plan) -> bool:
    return all(edge.tensor == edge.spec.name and not edge.is_cast for edge in (*plan.inputs, *plan.outputs))


def _engine(name: str, plan: Plan, spec: ModelSpec, settings: Settings, batch: Batch) -> TritonModel:
    """Return the Triton model of the engine itself, with its own names and dtypes."""
    values = {each for profile in plan.profiles for each in profile.values}
    inputs = [declared("input", carried(edge), batch=batch, values=edge.spec.name in values) for edge in plan.inputs]
    outputs = [declared("output", carried(edge), batch=batch) for edge in plan.outputs]
    shapes = None if values else example_shapes(plan.signature, batch, plan.profiles)
    by_tensor = None if shapes is None else {edge.tensor: shapes[edge.spec.name] for edge in plan.inputs}
    profiles = {"profile": [str(number) for number in range(len(plan.profiles))]} if len(plan.profiles) > 1 else {}
    config = model_config(
        {"platform": "tensorrt_plan"},
        batch=batch,
        inputs=inputs,
        outputs=outputs,
        settings=settings,
        instance_group=gpu(settings.instances, spec.device, **profiles),
        shapes=by_tensor,
        optimization={"cuda": _graphs(plan, batch, by_tensor)},
        default_model_filename=FILE,
    )
    return TritonModel(name, config, partial(write_engine, plan, FILE))


def _graphs(plan: Plan, batch: Batch, shapes: dict[str, list[int]] | None) -> Message:
    """Return the passes that Triton records as CUDA graphs: optimal sizes, and 1, 2, 4 … items.

    No graphs if a recorded pass could be wrong, because its control flow or sizes depend on computed values.
    """
    known = {dim for edge in plan.inputs for dim in edge.spec.shape or ()}
    decided = any(
        dim not in known for edge in plan.outputs for dim in edge.spec.shape or () if not isinstance(dim, int)
    )
    if plan.control_flow or decided or shapes is None:
        return {"graphs": False}
    sized = [{"key": name, "value": {"dim": dims}} for name, dims in shapes.items()]
    counts = [*(1 << power for power in range(batch.most.bit_length())), batch.most] if batch.most else [0]
    return {"graphs": True, "graph_spec": [{"batch_size": count, "input": sized} for count in dict.fromkeys(counts)]}


def _notes(plan: Plan) -> Iterator[str]:
    """Yield requirements: an engine depends on a TensorRT version, a GPU type, and its plugins."""
    if plan.options.get("version_compatible"):
        yield (
            f"built with TensorRT {plan.version}, version-compatible: start Triton with "
            "--backend-config=tensorrt,version-compatible=true"
        )
    else:
        yield f"built with TensorRT {plan.version}: Triton's container must have exactly this version"
    if plan.compute_capability:
        yield f"built for GPUs of compute capability {plan.compute_capability}"
    if plan.plugins:
        names = ", ".join(sorted({plugin.name for plugin in plan.plugins}))
        yield f"needs the plugins {names}: start Triton with --backend-config=tensorrt,plugins=LIBRARY"
    if plan.control_flow:
        yield "no CUDA graphs: the engine has branches or loops"
