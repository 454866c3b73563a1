"""What is asked of the ONNX model, and whether a source allows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from onepass._errors import InputError
from onepass.source.finish._batch import Batch, check_batch
from onepass.source.finish._layout import check_names
from onepass.tensors import Signature

Target: TypeAlias = Literal["tensorrt"] | None
"""What is to read the model, where that asks for more than ONNX does."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the ONNX model is to be like.

    Attributes:
        outputs: Which outputs, and in which order; all in the source's order where None.
        output_names: New names for these outputs, one each.
        batch: How many items it takes.
        channels_first: Names, in the source, of the inputs and outputs to have their channels in the second place.
        target: What is to read it.
    """

    outputs: tuple[str, ...] | None = None
    output_names: tuple[str, ...] | None = None
    batch: Batch = None
    channels_first: tuple[str, ...] = ()
    target: Target = None

    def __post_init__(self) -> None:
        check_batch(self.batch)
        if self.target not in (None, "tensorrt"):
            raise InputError(f"target is 'tensorrt' or None, got {self.target!r}")

    def check(self, signature: Signature) -> None:
        """Refuse what does not fit a source, before it is exported and run.

        Raises:
            InputError, OutputNameError: There is no such name, or its tensor does not fit.
        """
        self.renamed(signature)
        check_names(self.channels_first, signature)

    def renamed(self, signature: Signature) -> dict[str, str]:
        """Return which output of the source becomes which of the ONNX model.

        Raises:
            OutputNameError: A requested output is not there.
            InputError: No output is asked for; or there are not as many new names as outputs, or they are not unique,
                or taken, or no names.
        """
        chosen = signature.output_names if self.outputs is None else self.outputs
        signature.ordered_outputs(chosen)  # refuses unknown names
        if not chosen:
            raise InputError(f"outputs=[] asks for nothing; the network has {', '.join(signature.output_names)}")
        names = chosen if self.output_names is None else self.output_names
        nameless = [name for name in names if str(name) != name or not name]
        if nameless:
            raise InputError(f"output_names has {nameless[0]!r}; a name is a text that is not empty")
        if len(names) != len(chosen) or len(set(names)) != len(names):
            raise InputError(
                f"output_names has {len(names)} names for {len(chosen)} outputs: {', '.join(names)} for "
                f"{', '.join(chosen)}; each output needs one of its own"
            )
        for old, new in zip(chosen, names, strict=True):
            if new in chosen and new != old:
                raise InputError(_another_outputs_name(old, new, chosen, names))
            if new in signature.input_names and new != old:
                raise InputError(f"output {old!r} cannot be named {new!r}, which is an input")
        if self.target == "tensorrt":
            # Its parser renames an input that is an output at the same time. The input.
            names = tuple(f"{name}_out" if name in signature.input_names else name for name in names)
        return dict(zip(chosen, names, strict=True))


def _another_outputs_name(old: str, new: str, chosen: tuple[str, ...], names: tuple[str, ...]) -> str:
    if not set(names) <= set(chosen):
        return f"output {old!r} cannot be named {new!r}, which is another output"
    return (
        f"output_names= would call output {old!r} {new!r}, which is another output's name: it gives new names to "
        f"{', '.join(chosen)}, in this order. outputs={list(names)} chooses outputs and their order"
    )
