"""Options for the ONNX model, and their check against a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from onepass._errors import InputError
from onepass.source.finish._batch import Batch, check_batch
from onepass.source.finish._layout import check_names
from onepass.tensors import Signature

Target: TypeAlias = Literal["tensorrt"] | None
"""The tool that will read the model, if it needs more than ONNX requires."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Options for the ONNX model.

    Attributes:
        outputs: The outputs in order; None for all in the source's order.
        output_names: New names for these outputs, one each.
        batch: The batch size.
        channels_first: Names, in the source, of inputs and outputs to convert to channels first.
        target: The tool that will read the model.
    """

    outputs: tuple[str, ...] | None = None
    output_names: tuple[str, ...] | None = None
    batch: Batch = None
    channels_first: tuple[str, ...] = ()
    target: Target = None

    def __post_init__(self) -> None:
        check_batch(self.batch)
        if self.target not in (None, "tensorrt"):
            raise InputError(f"target must be 'tensorrt' or None, got {self.target!r}")

    def check(self, signature: Signature) -> None:
        """Check the options against a source, before it is exported and run.

        Raises:
            InputError, OutputNameError: A name does not exist, or its tensor is unsuitable.
        """
        self.renamed(signature)
        check_names(self.channels_first, signature)

    def renamed(self, signature: Signature) -> dict[str, str]:
        """Return the mapping from the source's outputs to the ONNX model's.

        Raises:
            OutputNameError: A requested output does not exist.
            InputError: No output is requested; or the new names differ in number from the outputs, or are not unique,
                already used, or invalid.
        """
        chosen = signature.output_names if self.outputs is None else self.outputs
        signature.ordered_outputs(chosen)  # refuses unknown names
        if not chosen:
            raise InputError(f"outputs=[] selects nothing; the network has {', '.join(signature.output_names)}")
        names = chosen if self.output_names is None else self.output_names
        nameless = [name for name in names if str(name) != name or not name]
        if nameless:
            raise InputError(f"output_names: expected non-empty strings, got {nameless[0]!r}")
        if len(names) != len(chosen) or len(set(names)) != len(names):
            raise InputError(
                f"output_names: expected one unique name per output ({', '.join(chosen)}), got {len(names)}: "
                f"{', '.join(names)}"
            )
        for old, new in zip(chosen, names, strict=True):
            if new in chosen and new != old:
                raise InputError(_another_outputs_name(old, new, chosen, names))
            if new in signature.input_names and new != old:
                raise InputError(f"output {old!r} cannot be named {new!r}, which is an input")
        if self.target == "tensorrt":
            # TensorRT's parser renames an input that is also an output: the input, not the output.
            names = tuple(f"{name}_out" if name in signature.input_names else name for name in names)
        return dict(zip(chosen, names, strict=True))


def _another_outputs_name(old: str, new: str, chosen: tuple[str, ...], names: tuple[str, ...]) -> str:
    if not set(names) <= set(chosen):
        return f"output {old!r} cannot be named {new!r}, which is another output"
    return (
        f"output_names= would rename output {old!r} to {new!r}, which is another output's name. It sets new names for "
        f"{', '.join(chosen)}, in this order; to select and order outputs, use outputs={list(names)}"
    )
