"""Classes and enums with exactly the names that a real TensorRT has, filled with what the fake can imitate."""

from __future__ import annotations

import functools
import types
from enum import Enum
from typing import Any

from tests.fakes.facts import tensorrt_facts

_INTERFACES = (
    "ILogger", "IOutputAllocator", "IProgressMonitor", "IGpuAllocator", "IGpuAsyncAllocator", "IErrorRecorder",
    "IStreamReader", "IStreamReaderV2", "IStreamWriter", "IProfiler", "IDebugListener",
)  # fmt: skip


class Unimplemented:
    """What stands for a name that the real TensorRT has and the fake does not imitate: any use of it says so."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"the fake TensorRT has {self.__dict__['_name']}, but does not imitate it")

    __call__ = __bool__ = __int__ = __index__ = __len__ = __iter__ = __getitem__ = __eq__ = __lt__ = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()

    def __repr__(self) -> str:
        return f"<{self.__dict__['_name']}, not imitated>"


class _UnimplementedAttribute:
    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Unimplemented:
        return Unimplemented(self._name)

    def __set__(self, instance: object, value: object) -> None:
        raise NotImplementedError(f"the fake TensorRT has {self._name}, but cannot set it")


class _EnumMember:
    """A member of an enumeration as pybind11 makes them: no int, but ``int()`` and indexing work."""

    value: Any

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        return int(self.value)


class _Meta(type):
    """Refuses what pybind11 refuses: classes that only TensorRT makes, subclasses that forget their base's __init__."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        if isinstance(made, FakeObject) and not made.__dict__.get("_ready"):
            raise TypeError(f"{cls.__module__}.{cls.__name__}.__init__() must be called when overriding __init__")
        return made


class FakeObject(metaclass=_Meta):
    """Base of every class of the fake TensorRT."""

    _trt: Any
    _names: frozenset[str]
    _generated = True

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__module__}.{type(self).__name__}: No constructor defined!")

    def __setattr__(self, name: str, value: Any) -> None:
        # An attribute that this version lacks cannot be set, as on any class of pybind11's; subclasses written in
        # Python have room for more.
        if not name.startswith("_") and name not in self._names and "_generated" in type(self).__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__setattr__(name, value)


class _Interface:
    """What users subclass; TensorRT calls the methods that they override."""

    def __init__(self) -> None:
        self._ready = True


def make_enum(name: str, members: list[str], module: str) -> Any:
    """Return an enumeration; the numbers are those of the order, since the facts have none."""
    made: Any = Enum(name, {member: number for number, member in enumerate(members)}, type=_EnumMember)  # type: ignore[misc]
    made.__module__ = module
    return made


def make_class(name: str, trt: Any, behaviours: dict[str, type], bases: tuple[type, ...]) -> type:
    """Return one class with the attributes that the facts list, and no others.

    Args:
        name: The class.
        trt: The module that it is for; its `calls` count every method called and every property read or set.
        behaviours: What the fake can imitate: by name of the class, a plain class with more attributes than any
            version has. Those that the facts lack are left out.
        bases: Classes made before, which it inherits from.
    """
    names = frozenset(tensorrt_facts(trt.api)[name])
    behaviour = behaviours.get(name) or (_Interface if name in _INTERFACES else None)
    known: dict[str, Any] = {}
    for one in reversed(behaviour.__mro__[:-1]) if behaviour else ():
        known |= vars(one)
    body = {
        key: value for key, value in known.items() if key.startswith("_") and key not in ("__dict__", "__weakref__")
    }
    for attribute in names:
        qualified = f"{name}.{attribute}"
        if attribute in known:
            body[attribute] = _counted(known[attribute], qualified, trt)
        elif not any(hasattr(base, attribute) for base in bases):
            body[attribute] = _UnimplementedAttribute(qualified)
    body |= {"_trt": trt, "_names": names, "_generated": True, "__module__": f"{trt.__name__}.{trt.__name__}"}
    # A buffer has to be a built-in type; see `_core._IHostMemory`.
    bases = bases or ((FakeObject, bytearray) if name == "IHostMemory" else (FakeObject,))
    return types.new_class(name, bases, exec_body=lambda namespace: namespace.update(body))


def _counted(value: Any, qualified: str, trt: Any) -> Any:
    if isinstance(value, property):
        return property(_counted(value.fget, qualified, trt), value.fset and _counted(value.fset, f"{qualified}=", trt))
    if not isinstance(value, types.FunctionType):
        return value

    @functools.wraps(value)
    def call(*args: Any, **kwargs: Any) -> Any:
        trt.count(qualified)
        return value(*args, **kwargs)

    return call


def make(kind: type, *args: Any) -> Any:
    """Make an object of a class that users cannot make themselves: ``_start`` takes the place of ``__init__``."""
    made: Any = kind.__new__(kind)  # type: ignore[call-overload]
    made.__dict__["_ready"] = True
    made._start(*args)
    return made
