"""A PyTorch network as a function from named tensors to named tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from onepass._errors import InputError, UnsupportedModelError
from onepass.source.frameworks._nested import named_leaves
from onepass.source.frameworks.torch._quiet import gist
from onepass.source.frameworks.torch._tensors import dtype_of


class Network:
    """A module, and inputs that it accepts, with a name for each tensor.

    An output with the name of an input that is another tensor gets the suffix ``_out``.

    Attributes:
        name: Name for messages.
        module: The module.
        examples: The input tensors by name, in the order of the module's arguments: ``image``, ``pyramid.0``.
        outputs: The module's outputs for them, by name.
    """

    def __init__(
        self,
        module: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        name: str,
        chosen: Sequence[str] | None = None,
    ) -> None:
        """Run the module once.

        Args:
            module: The module.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            name: Name for messages.
            chosen: Names of the outputs to use; others are ignored. None for all.

        Raises:
            InputError: The module rejects these inputs.
            UnsupportedModelError: It returns something other than tensors, or tensors that ONNX does not support.
        """
        self.name = name
        self.module = module
        leaves, self._tree = pytree.tree_flatten((tuple(args), dict(kwargs)))
        self._constants = {i: leaf for i, leaf in enumerate(leaves) if not isinstance(leaf, torch.Tensor)}
        self._renamed: dict[str, str] = {}
        self._chosen: frozenset[str] | None = None
        try:
            places = argument_names(module, *pytree.tree_unflatten(list(range(len(leaves))), self._tree))
            self._places = {name: place for name, place in places.items() if place not in self._constants}
            self.examples = {name: leaves[place] for name, place in self._places.items()}
            given = {name: tensor.clone() for name, tensor in self.examples.items()}  # a module may modify them
            outputs = self._leaves(given)
        except UnsupportedModelError:
            raise
        except Exception as error:
            shapes = ", ".join(str(list(leaf.shape)) for leaf in leaves if isinstance(leaf, torch.Tensor))
            raise InputError(f"{name} does not run on the example inputs ({shapes}): {gist(error)}") from error
        if not self.examples:
            raise UnsupportedModelError(f"{name} has no tensor inputs, so there is nothing to convert")
        self._renamed = {
            key: f"{key}_out"
            for key, value in outputs.items()
            if key in given and not (value is given[key] and torch.equal(value, self.examples[key]))
        }
        named = {self._renamed.get(key, key): value for key, value in outputs.items()}
        if chosen is not None and named.keys() >= set(chosen):  # unknown names are refused later, with the full list
            self._chosen = frozenset(chosen)
        self.outputs: dict[str, torch.Tensor] = {
            key: self._tensor(key, value) for key, value in named.items() if self._chosen is None or key in self._chosen
        }
        for tensors, what in ((self.examples, "input"), (self.outputs, "output")):
            for key, tensor in tensors.items():
                dtype_of(tensor, name=key, what=what)

    def __call__(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the module's outputs for other tensors of these names."""
        named = {self._renamed.get(key, key): value for key, value in self._leaves(tensors).items()}
        return {key: named[key] for key in self.outputs}

    def _leaves(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """Return the module's outputs by their names in the returned value.

        Raises:
            UnsupportedModelError: The module returns nothing, or two outputs with one name.
        """
        leaves = [self._constants.get(place) for place in range(len(self._constants) + len(self._places))]
        for name, place in self._places.items():
            leaves[place] = tensors[name]
        args, kwargs = pytree.tree_unflatten(leaves, self._tree)
        outputs: dict[str, Any] = {}
        for name, leaf in named_leaves(self.module(*args, **kwargs)):
            if name in outputs:
                raise UnsupportedModelError(f"{self.name} returns two outputs with the same name {name!r}")
            outputs[name] = leaf
        if not outputs:
            raise UnsupportedModelError(f"{self.name} returns no tensor")
        return outputs

    def _tensor(self, name: str, value: Any) -> torch.Tensor:
        if not isinstance(value, torch.Tensor):
            cache = " (a transformer's cache: use_cache=False among the example inputs)" if "cache" in name else ""
            raise UnsupportedModelError(
                f"output {name!r} of {self.name}: expected a tensor, got {type(value).__name__}{cache}; choose "
                "outputs=[…] without it, remove it from forward's return value, or make it a tensor"
            )
        return value


def argument_names(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a module's arguments by name: the argument's name, and the position in it."""
    if isinstance(module, torch.jit.ScriptModule):
        forward: Any = module.forward
        names = [argument.name for argument in forward.schema.arguments[1:]]
        return dict(named_leaves({**dict(zip(names, args, strict=False)), **kwargs}))
    signature = inspect.signature(module.forward)
    bound = signature.bind(*args, **kwargs).arguments
    more = [name for name in bound if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD]
    return dict(named_leaves({**{k: v for k, v in bound.items() if k not in more}, **(bound[more[0]] if more else {})}))
