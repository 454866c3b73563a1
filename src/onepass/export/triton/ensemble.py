"""An ensemble around an engine: restores the model's names and dtypes if the engine has others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from onepass._errors import UnsupportedModelError
from onepass.engine import Edge, Plan
from onepass.export.triton.config import Settings, TritonModel, cpu, model_config
from onepass.export.triton.edges import Batch, declared, in_python
from onepass.export.triton.files import copy_source
from onepass.export.triton.text import Message, entries
from onepass.tensors import TensorSpec


def around(name: str, inner: str, plan: Plan, settings: Settings, batch: Batch) -> Iterator[TritonModel]:
    """Yield the models that restore names and dtypes. The ensemble comes last, because its steps must exist first."""
    _check_apart(plan)
    casts_in = [edge for edge in plan.inputs if edge.is_cast]
    casts_out = [edge for edge in plan.outputs if edge.is_cast]
    steps = []
    if casts_in:
        yield _casts(f"{name}-inputs", casts_in, batch, settings, before=_given, after=carried)
        steps.append(_step(f"{name}-inputs", [(e.spec.name, e.spec.name) for e in casts_in],
                           [(e.tensor, _between(e)) for e in casts_in]))  # fmt: skip
    steps.append(_step(inner, [(e.tensor, _between(e)) for e in plan.inputs],
                       [(e.tensor, _between(e)) for e in plan.outputs]))  # fmt: skip
    if casts_out:
        yield _casts(f"{name}-outputs", casts_out, batch, settings, before=carried, after=_given)
        steps.append(_step(f"{name}-outputs", [(e.tensor, _between(e)) for e in casts_out],
                           [(e.spec.name, e.spec.name) for e in casts_out]))  # fmt: skip
    config = model_config(
        {"platform": "ensemble"},
        batch=batch,
        inputs=[_outer("input", edge, batch) for edge in plan.inputs],
        outputs=[_outer("output", edge, batch) for edge in plan.outputs],
        ensemble_scheduling={"step": steps},
    )
    yield TritonModel(name, config, lambda _folder: None)


def _check_apart(plan: Plan) -> None:
    """Check that no output is also an input: Triton hangs if one tensor is both in an ensemble.

    Raises:
        UnsupportedModelError: A tensor is both.
    """
    given = {edge.spec.name for edge in plan.inputs}
    for edge in plan.outputs:
        if edge.spec.name in given:
            raise UnsupportedModelError(
                f"{edge.spec.name!r} is both an input and an output; the engine has two names for it, but Triton "
                "cannot use one name for both. Build the engine without this output, which callers have anyway: "
                "onepass.build(outputs=…); or let onepass run the engine in Triton: backend='python'"
            )


def _given(edge: Edge) -> TensorSpec:
    return edge.spec


def _outer(kind: str, edge: Edge, batch: Batch) -> Message:
    """Declare an input or output of the ensemble without a reshape, which its steps do already."""
    message = dict(declared(kind, edge.spec, batch=batch))
    message.pop("reshape", None)
    return message


def _between(edge: Edge) -> str:
    """Return the ensemble's name for an engine's tensor: the model's name, unless the tensor is cast."""
    return f"{edge.spec.name} as {edge.carrier}" if edge.is_cast else edge.spec.name


def _step(model: str, inputs: Sequence[tuple[str, str]], outputs: Sequence[tuple[str, str]]) -> Message:
    return {
        "model_name": model, "model_version": -1,
        "input_map": entries(dict(inputs)), "output_map": entries(dict(outputs)),
    }  # fmt: skip


def _casts(
    name: str,
    edges: Sequence[Edge],
    batch: Batch,
    settings: Settings,
    *,
    before: Callable[[Edge], TensorSpec],
    after: Callable[[Edge], TensorSpec],
) -> TritonModel:
    for edge in edges:
        if not (in_python(edge.spec.dtype) and in_python(edge.carrier)):
            raise UnsupportedModelError(
                f"{edge.spec.name!r} is {edge.spec.dtype} in the model and {edge.carrier} in the engine, but Triton's "
                "Python backend, which would cast it, does not support bfloat16. Build the engine with TensorRT 10 or "
                "later, which supports bfloat16, or cast the tensor in the model"
            )
    config = model_config(
        {"backend": "python"},
        batch=batch,
        inputs=[declared("input", before(edge), batch=batch) for edge in edges],
        outputs=[declared("output", after(edge), batch=batch) for edge in edges],
        instance_group=cpu(settings.instances),
    )
    return TritonModel(name, config, partial(copy_source, "casts"))


def carried(edge: Edge) -> TensorSpec:
    """Return a tensor with the engine's name and dtype."""
    return TensorSpec(edge.tensor, edge.carrier, edge.spec.shape)
