"""Refit: put the weights of a model into a refittable engine with the same layers.

The model is prepared with the engine's build options and read by the same parser. So the layers of its network have the
weights under the names and in the form that the engine expects, whatever the parser folds or transposes. This works in
every TensorRT that builds; trtexec's ``--timeRefit`` works the same way.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import BackendError, EngineError, InputError, ModelNotFoundError
from onepass.builder._graph import Ready, digest_of_model, graph_of, ready_for
from onepass.builder._network import new_builder, parse
from onepass.builder._weights import Place, weights_of
from onepass.builder.options import BuildOptions
from onepass.engine.flavor import Flavor, find_flavor
from onepass.engine.log import get_logger
from onepass.engine.plan import Edge, Plan, read_sidecar
from onepass.engine.plugins import check_plugins, load_plugins
from onepass.graph import OnnxGraph


def refit(
    engine: str | os.PathLike[str] | Plan,
    model: str | os.PathLike[str] | bytes | OnnxGraph,
    output: str | os.PathLike[str] | None = None,
    *,
    plugins: str | os.PathLike[str] | tuple[str, ...] = (),
) -> Plan:
    """Put the weights of a model into an engine with the same layers; nothing is built.

    Args:
        engine: An engine with a sidecar, or its plan, built with ``refit=True`` or ``strip=True``. Needs a GPU.
        model: The model with the new weights, as for `onepass.build`; the engine's build options are applied to it. An
            engine built with ``strip=True`` but without ``refit=True`` accepts only the model that it was built from.
        output: Where to write the refitted engine and its sidecar.
        plugins: Libraries with the plugins that the engine needs.

    Returns:
        The engine with the model's weights, in memory if `output` is not given.

    Raises:
        ModelNotFoundError: The engine or the model does not exist.
        InputError: The engine is not refittable, or the model does not fit; the message says where.
        EngineError: The engine does not run here.
        BackendError: TensorRT rejects the weights; its log is in the message.
    """
    plan = engine if isinstance(engine, Plan) else _plan_of(engine)
    flavor = find_flavor(plan.flavor)
    data, logger = plan.engine_bytes(), get_logger(flavor)
    load_plugins(flavor, plugins)
    check_plugins(flavor, plan.plugins, name="the engine", built_with=plan.options.get("plugins", ()))
    mark = logger.book.mark()
    raw = flavor.module.Runtime(logger).deserialize_cuda_engine(data)
    if raw is None:
        raise EngineError(
            f"refitting needs an engine that runs here; {flavor} cannot load it:\n{logger.book.text(mark)}"
        )
    digest = put_weights(flavor, raw, plan, model)
    filled = _serialized(flavor, raw)
    options = {name: value for name, value in plan.options.items() if name != "strip"}
    plan = replace(
        plan, engine=filled, engine_sha256=sha256(filled).hexdigest(), onnx_sha256=digest, options=options
    )  # fmt: skip
    return plan if output is None else plan.save(output)


def put_weights(
    flavor: Flavor, raw: Any, plan: Plan, model: str | os.PathLike[str] | bytes | OnnxGraph, *, name: str = "the engine"
) -> str:
    """Put a model's weights into a deserialised engine; see `refit`. The engine's GPU must be current.

    Args:
        flavor: The TensorRT that runs the engine.
        raw: The engine.
        plan: The engine's plan.
        model: The model.
        name: Name of the engine in messages.

    Returns:
        The model's digest, for `Plan.onnx_sha256`.
    """
    _check_takes_weights(flavor, raw, plan, name)
    graph = graph_of(model)
    digest = digest_of_model(model, graph)
    if plan.options.get("strip") and not plan.options.get("refit") and plan.onnx_sha256 not in (None, digest):
        raise InputError(
            f"{name} accepts only the weights of the model that it was built from: expected SHA-256 "
            f"{str(plan.onnx_sha256)[:12]}…, got {digest[:12]}…. For other weights, build it with "
            "onepass.build(strip=True, refit=True)"
        )
    ready = ready_for(graph, BuildOptions.from_json(plan.options), flavor)
    _check_edges(ready, plan, name)
    logger = get_logger(flavor)
    builder = new_builder(flavor)
    network, parser, _ = parse(flavor, builder, ready.prepared)
    refitter = flavor.module.Refitter(raw, logger)
    _fill(flavor, refitter, dict(weights_of(flavor, network)), plan.weight_sizes, name)
    mark = logger.book.mark()
    if not refitter.refit_cuda_engine():
        raise BackendError(f"{flavor} failed to refit {name}:\n{logger.book.text(mark)}")
    del parser  # it owns the memory of the weights
    return digest


def _fill(
    flavor: Flavor,
    refitter: Any,
    ours: dict[Place, np.ndarray[Any, Any]],
    sizes: Mapping[str, Mapping[str, int]],
    name: str,
) -> None:
    layers, roles = refitter.get_all()
    wanted = [Place(layer, role.name) for layer, role in zip(layers, roles, strict=True)]
    book = get_logger(flavor).book
    wrong, mark = [], book.mark()
    for place in wanted:
        if place not in ours:
            wrong.append(f"{place}: not found in the model")
            continue
        size = sizes.get(place.layer, {}).get(place.role, ours[place].size)
        if ours[place].size != size:  # TensorRT 8.5 would accept them and fail later without naming the layer
            wrong.append(f"{place}: expected {size} elements, got {ours[place].size}")
        elif not refitter.set_weights(place.layer, flavor.member("WeightsRole", place.role), ours[place]):
            wrong.append(f"{place}: rejected with {ours[place].size} elements, {list(ours[place].shape)}")
    if not wrong:
        layers, roles = refitter.get_missing()
        wrong = [f"{Place(layer, role.name)}: missing" for layer, role in zip(layers, roles, strict=True)]
    if wrong:
        log = book.text(mark)
        raise InputError(
            f"the model's weights do not fit {name}, which was built from a different model:\n  "
            + "\n  ".join(wrong)
            + (f"\nTensorRT's log:\n{log}" if log else "")
        )


def _check_takes_weights(flavor: Flavor, raw: Any, plan: Plan, name: str) -> None:
    if not flavor.can_build:
        raise InputError(f"{flavor} can only run engines; refitting {name} needs the parser of the full package")
    if not raw.refittable or not (plan.options.get("refit") or plan.options.get("strip")):
        raise InputError(f"{name} is not refittable; build it with onepass.build(refit=True)")


def _check_edges(ready: Ready, plan: Plan, name: str) -> None:
    for kind, ours, theirs in (
        ("inputs", ready.prepared.inputs, plan.inputs),
        ("outputs", ready.prepared.outputs, plan.outputs),
    ):
        if [edge.spec for edge in ours] != [edge.spec for edge in theirs]:
            raise InputError(
                f"the model does not fit {name}: expected the {kind} {_listed(theirs)}, got {_listed(ours)}"
            )


def _listed(edges: Iterable[Edge]) -> str:
    return ", ".join(f"{edge.spec.name} {edge.spec}" for edge in edges)


def _serialized(flavor: Flavor, raw: Any) -> bytes:
    if not hasattr(raw, "create_serialization_config"):
        return bytes(raw.serialize())
    config = raw.create_serialization_config()
    config.clear_flag(flavor.member("SerializationFlag", "EXCLUDE_WEIGHTS"))
    keep = flavor.member("SerializationFlag", "INCLUDE_REFIT")  # keeps the engine refittable
    if keep is not None:
        config.set_flag(keep)
    return bytes(raw.serialize_with_config(config))


def _plan_of(engine: str | os.PathLike[str]) -> Plan:
    path = Path(engine)
    if not path.is_file():
        raise ModelNotFoundError(f"no engine file at {path}")
    plan = read_sidecar(path)
    if plan is None:
        raise InputError(f"{path} cannot be refitted: it has no sidecar, which holds the build options")
    return plan
