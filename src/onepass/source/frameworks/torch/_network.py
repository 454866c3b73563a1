"""A PyTorch network as a function from named tensors to named tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from onepass._errors import InputError, UnsupportedModelError
from onepass.source.frameworks.torch._nested import named_leaves
from onepass.source.frameworks.torch._quiet import gist


class Network:
    """A module, and inputs that it runs on, each tensor among them by a name.

    An output that has the name of an input but is something else gets ``_out`` behind its name.

    Attributes:
        name: What to call it in a message.
        module: The module.
        examples: The input tensors by name, in the order of the module's arguments: ``image``, ``pyramid.0``.
        outputs: What the module makes of them, by name.
    """

    def __init__(self, module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, name: str) -> None:
        """Run the module once.

        Raises:
            InputError: The module does not take these inputs.
            UnsupportedModelError: It gives something else than tensors.
        """
        self.name = name
        self.module = module
        leaves, self._tree = pytree.tree_flatten((tuple(args), dict(kwargs)))
        self._constants = {i: leaf for i, leaf in enumerate(leaves) if not isinstance(leaf, torch.Tensor)}
        self._renamed: dict[str, str] = {}
        try:
            places = argument_names(module, *pytree.tree_unflatten(list(range(len(leaves))), self._tree))
            self._places = {name: place for name, place in places.items() if place not in self._constants}
            self.examples = {name: leaves[place] for name, place in self._places.items()}
            given = {name: tensor.clone() for name, tensor in self.examples.items()}  # a module may write into them
            outputs = self(given)
        except UnsupportedModelError:
            raise
        except Exception as error:
            shapes = ", ".join(str(list(leaf.shape)) for leaf in leaves if isinstance(leaf, torch.Tensor))
            raise InputError(f"{name} does not run on the example inputs ({shapes}): {gist(error)}") from error
        if not self.examples:
            raise UnsupportedModelError(f"{name} takes no tensor, so there is nothing to convert")
        self._renamed = {
            key: f"{key}_out"
            for key, tensor in outputs.items()
            if key in given and not (tensor is given[key] and torch.equal(tensor, self.examples[key]))
        }
        self.outputs = {self._renamed.get(key, key): tensor for key, tensor in outputs.items()}

    def __call__(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Run the module on other tensors of these names.

        Raises:
            UnsupportedModelError: An output is no tensor.
        """
        leaves = [self._constants.get(place) for place in range(len(self._constants) + len(self._places))]
        for name, place in self._places.items():
            leaves[place] = tensors[name]
        args, kwargs = pytree.tree_unflatten(leaves, self._tree)
        outputs: dict[str, torch.Tensor] = {}
        for name, leaf in named_leaves(self.module(*args, **kwargs)):
            if not isinstance(leaf, torch.Tensor):
                raise UnsupportedModelError(
                    f"output {name!r} of {self.name} is a {type(leaf).__name__}, not a tensor; leave it out of what "
                    "forward returns, or make it a tensor"
                )
            if name in outputs:
                raise UnsupportedModelError(f"{self.name} gives two outputs that would both be called {name!r}")
            outputs[self._renamed.get(name, name)] = leaf
        if not outputs:
            raise UnsupportedModelError(f"{self.name} gives no tensor")
        return outputs


def argument_names(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of what is handed to a module by name: of its argument, and of the place in that."""
    if isinstance(module, torch.jit.ScriptModule):
        forward: Any = module.forward
        names = [argument.name for argument in forward.schema.arguments[1:]]
        return dict(named_leaves({**dict(zip(names, args, strict=False)), **kwargs}))
    signature = inspect.signature(module.forward)
    bound = signature.bind(*args, **kwargs).arguments
    more = [name for name in bound if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD]
    return dict(named_leaves({**{k: v for k, v in bound.items() if k not in more}, **(bound[more[0]] if more else {})}))
