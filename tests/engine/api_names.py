"""Reads source code and tells which names of TensorRT and CUDA it touches that are not there.

The code is walked once for each flavour, with that flavour's real names (`tests.fakes.facts`). What an expression
is, follows from where it comes from: ``flavor.module.Runtime(logger)`` is a Runtime, what
``deserialize_cuda_engine`` returns is an ICudaEngine, and so on; parameters go by their names. A branch behind
``hasattr(engine, "name")``, ``flavor.has(…)`` or a property of `Flavor` is walked only if that is true of the flavour,
so that a name which a version lacks must be behind a question. What is asked for must at least exist in one flavour: a
question with a misspelt name would always be answered with no.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from onepass.engine.flavor import Flavor
from tests.fakes.facts import CUDA, TENSORRT, cuda_facts, tensorrt_facts
from tests.fakes.tensorrt import make_tensorrt

MODULE = "the module"

# What a parameter or an attribute of that name is, wherever it stands in the code that is read.
KNOWN = {
    "module": MODULE, "raw": "ICudaEngine", "_raw": "IExecutionContext", "_runtime": "Runtime",
    "builder": "Builder", "network": "INetworkDefinition", "config": "IBuilderConfig", "parser": "OnnxParser",
}  # fmt: skip
# What methods and properties give. Lists count as what is in them.
GIVES = {
    "deserialize_cuda_engine": "ICudaEngine", "create_execution_context": "IExecutionContext",
    "create_execution_context_without_device_memory": "IExecutionContext", "create_engine_inspector": "EngineInspector",
    "create_network": "INetworkDefinition", "create_builder_config": "IBuilderConfig",
    "create_optimization_profile": "IOptimizationProfile", "create_timing_cache": "ITimingCache",
    "get_timing_cache": "ITimingCache", "build_serialized_network": "IHostMemory", "get_layer": "ILayer",
    "get_error": "ParserError",
}  # fmt: skip
GIVES_OF = {
    ("INetworkDefinition", "get_input"): "ITensor", ("INetworkDefinition", "get_output"): "ITensor",
    ("ILayer", "get_input"): "ITensor", ("ILayer", "get_output"): "ITensor",
}  # fmt: skip
_ENUM_ATTRIBUTES = {"name", "value", "__members__"}


@cache
def flavor_of(api: str) -> Flavor:
    """Return a flavour as the code sees it, to ask it what it can do."""
    trt = make_tensorrt(api)
    return Flavor(trt.__name__, trt.__version__, trt)


@dataclass(frozen=True)
class Problem:
    """A name that is not there, or an object that the reader does not know."""

    where: str
    what: str
    flavour: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.flavour})"


class Reader:
    """Walks one file for one flavour.

    Attributes:
        uses: Every ``Class.name`` that was touched.
        problems: What is wrong with them.
    """

    def __init__(self, file: str, source: str, api: str, *, known: dict[str, str] | None = None) -> None:
        self.file = file
        self.api = api
        self.facts = tensorrt_facts(api)
        self.flavor = flavor_of(api)
        self.uses: set[str] = set()
        self.problems: set[Problem] = set()
        self._known = KNOWN | (known or {})
        self._variables: dict[str, str] = {}
        self._strings: dict[str, tuple[str, ...]] = {}
        self._block(ast.parse(source).body)

    # ---- statements --------------------------------------------------------------------------------------------

    def _block(self, statements: list[ast.stmt]) -> bool:
        """Walk statements; return whether the end of them is reached."""
        return all(self._statement(statement) for statement in statements)

    def _statement(self, node: ast.stmt) -> bool:
        """Walk one statement; return whether what comes after it is reached."""
        if isinstance(node, ast.If):
            return self._if(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self._function(node)
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self._bind(node.target, node.iter)
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value)
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            self._bind(node.target, node.value)
        for field in ast.iter_child_nodes(node):
            if isinstance(field, ast.expr):
                self._expression(field)
        for inner in _bodies(node):
            self._block(inner)
        return not isinstance(node, (ast.Return, ast.Raise, ast.Continue, ast.Break))

    def _if(self, node: ast.If) -> bool:
        answer = self._answer(node.test)
        self._expression(node.test)
        bodies = ((node.body, True), (node.orelse, False))
        reached = [self._block(body) for body, wanted in bodies if answer in (wanted, None)]  # all are walked
        return any(reached)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        outer = dict(self._variables), dict(self._strings)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            self._variables.pop(argument.arg, None)
        self._block(node.body)
        self._variables, self._strings = outer
        return True

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        """Remember what a variable is."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(target.elts, value.elts, strict=False):
                self._bind(one, other)
        elif isinstance(target, ast.Name):
            kind = self._kind(value)
            if kind:
                self._variables[target.id] = kind
            else:
                self._variables.pop(target.id, None)
            if isinstance(value, (ast.Tuple, ast.List)):
                self._strings[target.id] = tuple(
                    one.value for one in value.elts if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )

    # ---- expressions -------------------------------------------------------------------------------------------

    def _expression(self, node: ast.expr) -> None:
        """Note every name that an expression touches."""
        if isinstance(node, ast.IfExp):
            answer = self._answer(node.test)
            parts = [node.test, *([] if answer is False else [node.body]), *([] if answer is True else [node.orelse])]
        elif isinstance(node, ast.BoolOp):
            parts = self._evaluated(node)
        else:
            if isinstance(node, ast.Attribute):
                self._touch(node)
            if isinstance(node, ast.Call):
                self._probe(node)
            self._bind_generators(node)
            parts = list(_parts(node))
        for part in parts:
            self._expression(part)

    def _evaluated(self, node: ast.BoolOp) -> list[ast.expr]:
        """Return the parts of an ``and`` or ``or`` up to the one that decides it."""
        parts = []
        for value in node.values:
            parts.append(value)
            if self._answer(value) is isinstance(node.op, ast.Or):
                break
        return parts

    def _bind_generators(self, node: ast.expr) -> None:
        for generator in getattr(node, "generators", ()):
            self._bind(generator.target, generator.iter)

    def _touch(self, node: ast.Attribute) -> None:
        kind = self._kind(node.value)
        if kind:
            self.uses.add(f"{kind}.{node.attr}")
            if not self._exists(kind, node.attr):
                self._complain(node, f"{kind} has no {node.attr}")
        elif node.attr in _distinctive() and not self._is_own(node):
            self._complain(node, f"{ast.unparse(node)}: say in KNOWN what {ast.unparse(node.value)} is")

    def _probe(self, node: ast.Call) -> None:
        """Check that what is asked for exists in some flavour."""
        for path in self._asked(node):
            if not any(_path_exists(api, path) for api in TENSORRT):
                self._complain(node, f"no TensorRT has {'.'.join(path)}")

    def _asked(self, node: ast.Call) -> list[tuple[str, ...]]:
        """Return what a call asks for: paths from the module, such as ``("IBuilderConfig", "progress_monitor")``."""
        texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("has", "member", "members"):
            return [tuple(texts)] if len(texts) == len(node.args) else []
        if isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr", "setattr") and len(node.args) > 1:
            kind, name = self._kind(node.args[0]), node.args[1]
            if not kind:
                return []
            texts = [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
            if isinstance(name, ast.Name):
                texts = list(self._strings.get(name.id, ()))
            return [(text,) if kind == MODULE else (kind, text) for text in texts]
        return []

    def _answer(self, test: ast.expr) -> bool | None:
        """Return what a question is answered with in this flavour; None if that depends on more than the flavour."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            answer = self._answer(test.operand)
            return None if answer is None else not answer
        if isinstance(test, ast.BoolOp):
            answers = [self._answer(value) for value in test.values]
            short = isinstance(test.op, ast.Or)
            return short if short in answers else None if None in answers else not short
        if isinstance(test, ast.Call):
            paths = self._asked(test)
            is_question = not (isinstance(test.func, ast.Attribute) and test.func.attr in ("member", "members"))
            return _path_exists(self.api, paths[0]) if len(paths) == 1 and is_question else None
        if isinstance(test, ast.Attribute) and isinstance(getattr(Flavor, test.attr, None), property):
            value = getattr(self.flavor, test.attr)
            return value if isinstance(value, bool) else None
        return None

    def _kind(self, node: ast.expr) -> str | None:
        """Return what an expression is: `MODULE`, the name of a class (or of something in it), or None."""
        self._bind_generators(node)
        if isinstance(node, ast.Name):
            return self._variables.get(node.id, self._known.get(node.id))
        if isinstance(node, ast.Attribute):
            return self._known.get(node.attr) or (node.attr if self._kind(node.value) == MODULE else None)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._given(node.func)
        if isinstance(node, (ast.List, ast.Tuple)) and node.elts:
            return self._kind(node.elts[0])
        if isinstance(node, ast.IfExp):
            return self._kind(node.body) or self._kind(node.orelse)
        inner = getattr(node, "elt", None) or (node.value if isinstance(node, (ast.DictComp, ast.Subscript)) else None)
        return self._kind(inner) if isinstance(inner, ast.expr) else None

    def _given(self, function: ast.Attribute) -> str | None:
        """Return what a call gives."""
        kind = self._kind(function.value)
        if kind == MODULE:
            return function.attr if isinstance(self.facts.get(function.attr), list) else None
        return GIVES_OF.get((kind or "", function.attr)) or (GIVES.get(function.attr) if kind else None)

    def _exists(self, kind: str, name: str) -> bool:
        if name.startswith("__") or (kind != MODULE and _is_enum(kind) and name in _ENUM_ATTRIBUTES):
            return True
        return _path_exists(self.api, (name,) if kind == MODULE else (kind, name))

    def _is_own(self, node: ast.Attribute) -> bool:
        """Whether it is a method of the class that it stands in, or the like."""
        return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")

    def _complain(self, node: ast.AST, what: str) -> None:
        self.problems.add(Problem(f"{self.file}:{getattr(node, 'lineno', 0)}", what, self.api))


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child
        elif isinstance(child, ast.comprehension):
            yield from (child.iter, *child.ifs)
        elif isinstance(child, ast.keyword):
            yield child.value


def _bodies(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for handler in getattr(node, "handlers", []):
        yield handler.body
    for item in getattr(node, "items", []):
        yield [ast.Expr(item.context_expr)]


def _is_enum(name: str) -> bool:
    return any(tensorrt_facts(api).get(name, [None])[:1] == ["enum"] for api in TENSORRT)


def _path_exists(api: str, path: tuple[str, ...]) -> bool:
    """Whether a flavour has a name in its module, or an attribute or member of a class in it."""
    fact: Any = tensorrt_facts(api).get(path[0])
    return fact is not None and (len(path) == 1 or (isinstance(fact, list) and path[1] in fact))


@cache
def _distinctive() -> frozenset[str]:
    """Names of attributes that nothing but TensorRT has: those of three words and more."""
    facts = (fact for api in TENSORRT for fact in tensorrt_facts(api).values())
    names = {name for fact in facts if isinstance(fact, list) and fact[:1] != ["enum"] for name in fact}
    return frozenset(name for name in names if name.count("_") >= 2 and not name.startswith("_"))


def cuda_problems(file: str, source: str) -> tuple[set[str], list[Problem]]:
    """Return the names that code takes from ``driver``, and those that a version of cuda-bindings lacks."""
    uses: set[str] = set()
    problems = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute) or _last(node.value) not in ("driver", "_driver"):
            continue
        uses.add(node.attr)
        for version in CUDA:
            facts = cuda_facts(version)
            if not any(node.attr in facts[part] for part in facts):
                problems.append(Problem(f"{file}:{node.lineno}", f"no {node.attr}", f"cuda-bindings {version}"))
    for node in ast.walk(ast.parse(source)):
        # driver.CUevent_flags.CU_EVENT_DEFAULT
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            enum = node.value
            if _last(enum.value) in ("driver", "_driver"):
                for version in CUDA:
                    members = cuda_facts(version)["enums"].get(enum.attr)
                    if members is not None and node.attr not in members:
                        what = f"no {enum.attr}.{node.attr}"
                        problems.append(Problem(f"{file}:{node.lineno}", what, f"cuda-bindings {version}"))
    return uses, problems


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
