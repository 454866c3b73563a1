"""The content of ``config.pbtxt``: inputs and outputs, request queues, instances, warm-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass.export.triton.edges import Batch, check_names
from onepass.export.triton.text import Message, Word, entries, text_of
from onepass.runtime.spec import Devices

_HEAD = "# Written by onepass.\n"


def check_number(name: str, value: Any, *, least: int = 0, whole: bool = True) -> None:
    """Check that an option is a number that fits Triton's configuration.

    Raises:
        InputError: The value has the wrong type or is out of range.
    """
    right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not right or not least <= value < 1 << 31:
        raise InputError(f"{name} must be a {'whole ' if whole else ''}number ≥ {least}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Serving options, independent of Triton's backend.

    Attributes:
        max_delay_ms: How long a request may wait for others to share its batch, in milliseconds.
        max_queue: Maximum waiting requests; further ones are refused at once. 0 means no limit.
        instances: Number of model instances that run in parallel, per GPU if the model runs on GPUs.
    """

    max_delay_ms: float
    max_queue: int
    instances: int

    def __post_init__(self) -> None:
        check_number("max_delay_ms", self.max_delay_ms, whole=False)
        check_number("max_queue", self.max_queue)
        check_number("instances", self.instances, least=1)


@dataclass(frozen=True, slots=True)
class Served:
    """A model as Triton serves it.

    Attributes:
        models: The Triton models; clients call the last one, which uses the others.
        batch: Maximum items per call.
        notes: Requirements for serving the model.
    """

    models: Sequence[TritonModel]
    batch: Batch
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TritonModel:
    """A folder of a model repository.

    Attributes:
        name: Name of the folder, which is the model's name in Triton.
        config: Content of ``config.pbtxt`` except for the name, which Triton takes from the folder.
        write: Writes the files of one version to an existing folder.
    """

    name: str
    config: Message
    write: Callable[[Path], None]

    @property
    def text(self) -> str:
        """``config.pbtxt``."""
        return _HEAD + text_of(self.config)


def model_config(
    runs_on: Mapping[str, str],
    *,
    batch: Batch,
    inputs: Sequence[Message],
    outputs: Sequence[Message],
    instance_group: Message | None = None,
    settings: Settings | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    **rest: Any,
) -> Message:
    """Return a model configuration.

    Args:
        runs_on: ``backend`` or ``platform``.
        batch: Maximum items per call.
        inputs: Inputs, made by `declared`, in the model's order.
        outputs: Outputs, likewise.
        instance_group: Where the model runs; None for an ensemble, which has no instances.
        settings: Queue options; None for parts of an ensemble, whose requests have waited already.
        shapes: Shape of each input without the batch dimension, for the warm-up; None for no warm-up.
        rest: Further fields, appended; empty ones are omitted.
    """
    check_names("input", (each["name"] for each in inputs))
    check_names("output", (each["name"] for each in outputs))
    message = {**runs_on, "max_batch_size": batch.most, "input": inputs, "output": outputs}
    if settings is not None and (batch.most or settings.max_queue):
        message["dynamic_batching"] = _batching(batch, settings)
    if instance_group is not None:
        message["instance_group"] = [instance_group]
    if shapes:
        message["model_warmup"] = [
            _warm_up(count, inputs, shapes) for count in sorted({min(1, batch.most), batch.most})
        ]
    return {**message, **{name: value for name, value in rest.items() if value}}


def _batching(batch: Batch, settings: Settings) -> Message:
    message: dict[str, Any] = {}
    if batch.most:
        message["max_queue_delay_microseconds"] = round(settings.max_delay_ms * 1000)
    if settings.max_queue:
        message["default_queue_policy"] = {"max_queue_size": settings.max_queue}
    return message


def _warm_up(count: int, inputs: Sequence[Message], shapes: Mapping[str, Sequence[int]]) -> Message:
    """Return a warm-up request of zeros, which are valid indices and empty strings."""
    zeros = {
        each["name"]: {
            "data_type": each["data_type"],
            "dims": shapes[each["name"]] or each["dims"],
            "zero_data": True,
        }
        for each in inputs
    }
    name = f"{count} at once" if count else "one call"
    return {"name": name, "batch_size": count, "inputs": entries(zeros)}


def cpu(instances: int) -> Message:
    """Return the instance group of a model without GPUs, or with GPUs that Triton does not manage."""
    return {"count": instances, "kind": Word("KIND_CPU")}


def gpu(instances: int, devices: Devices | None, **rest: Any) -> Message:
    """Return the instance group of a model on these GPUs, or on all that Triton has."""
    numbers = [] if devices is None or devices == "all" else [devices] if isinstance(devices, int) else list(devices)
    where = {"gpus": numbers} if numbers else {}
    return {"count": instances, "kind": Word("KIND_GPU"), **where, **rest}
