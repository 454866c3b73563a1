"""What ``config.pbtxt`` says of a model: its edges, how requests wait, where it runs, how it is warmed up."""

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
    """Make sure that an option is a number that Triton's configuration has room for.

    Raises:
        InputError: It is not.
    """
    right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not right or not least <= value < 1 << 31:
        raise InputError(f"{name} is a number from {least} up, got {value!r}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How Triton serves a model, whatever runs it there.

    Attributes:
        max_delay_ms: How long a request may wait for others that it is put together with, in milliseconds.
        max_queue: Requests that may wait; more are refused at once. 0 is no limit.
        instances: How many of the model compute side by side, on each GPU where it runs on GPUs.
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
    """What makes a model one of Triton's.

    Attributes:
        models: Its folders; the last is the one that is called, and needs the others.
        batch: How many items a call may have.
        notes: What to know before it is served.
    """

    models: Sequence[TritonModel]
    batch: Batch
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TritonModel:
    """A folder of a model repository.

    Attributes:
        name: The folder's name, which is the model's in Triton.
        config: What ``config.pbtxt`` says, but for the name, which is the folder's.
        write: Writes the files of one version into a folder, which is there.
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
    """Put a configuration together.

    Args:
        runs_on: ``backend`` or ``platform``.
        batch: How many items a call may have.
        inputs: As `declared` makes them, in the model's order.
        outputs: Likewise.
        instance_group: Where it runs; None for an ensemble, which runs nowhere.
        settings: How requests wait; None where they come from an ensemble, at whose door they have waited.
        shapes: Shape of each input, without the batch, to run the model with before requests come; None to begin cold.
        rest: Further fields, after these; one without a value is left out.
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
    """Zeros, which are an index wherever a model has one, and an empty text."""
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
    """Where a model runs that takes no GPU, or one that Triton does not know of."""
    return {"count": instances, "kind": Word("KIND_CPU")}


def gpu(instances: int, devices: Devices | None, **rest: Any) -> Message:
    """Where a model runs that takes GPUs: those of these numbers, or all that Triton has."""
    numbers = [] if devices is None or devices == "all" else [devices] if isinstance(devices, int) else list(devices)
    where = {"gpus": numbers} if numbers else {}
    return {"count": instances, "kind": Word("KIND_GPU"), **where, **rest}
