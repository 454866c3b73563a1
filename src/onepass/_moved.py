"""Old names of moved modules: importing one still works, with a warning.

A name stays here for two minor versions after its module moved (the policy is in CONTRIBUTING). A moved package has a
row, and so does each of its public modules.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

from onepass._lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

MOVED = {
    # Moved in 0.1, to be removed in 0.3.
    "onepass.engine.options": "onepass.builder.options",
    "onepass.engine.precision": "onepass.builder.precision",
    "onepass.gaze.blinks": "onepass.gaze.video.blinks",
    "onepass.gaze.calibration": "onepass.gaze.screen.calibration",
    "onepass.gaze.cascades": "onepass.gaze.find.cascades",
    "onepass.gaze.channel": "onepass.media.channel",
    "onepass.gaze.columns": "onepass.gaze.show.columns",
    "onepass.gaze.dlib_finder": "onepass.gaze.find.dlib_finder",
    "onepass.gaze.draw": "onepass.gaze.show.draw",
    "onepass.gaze.faces": "onepass.gaze.find.faces",
    "onepass.gaze.finders": "onepass.gaze.find.finders",
    "onepass.gaze.mesh": "onepass.gaze.find.mesh",
    "onepass.gaze.models": "onepass.gaze.fetch.models",
    "onepass.gaze.panel": "onepass.gaze.show.panel",
    "onepass.gaze.recording": "onepass.gaze.screen.recording",
    "onepass.gaze.smoothing": "onepass.gaze.video.smoothing",
    "onepass.gaze.tables": "onepass.gaze.show.tables",
    "onepass.gaze.tracker": "onepass.gaze.video.tracker",
    "onepass.gaze.weights": "onepass.gaze.fetch.weights",
    "onepass.source.gazeml": "onepass.source.frameworks.gazeml",
    "onepass.source.keras": "onepass.source.frameworks.keras",
    "onepass.source.onnx": "onepass.source.frameworks.onnx",
    "onepass.source.tensorflow": "onepass.source.frameworks.tensorflow",
    "onepass.source.tflite": "onepass.source.frameworks.tflite",
    "onepass.source.torch": "onepass.source.frameworks.torch",
}
"""Old name to new name."""


_BETWEEN = {import_module.__code__.co_filename, lazy.__code__.co_filename}


class _Alias:
    """Loads a module under its old name: the same module object, not a second one.

    It implements `importlib.abc.Loader` without inheriting: importing that class takes longer than ``import onepass``.
    """

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        import warnings  # noqa: PLC0415 - needed only for old names

        new = MOVED[spec.name]
        warnings.warn(f"{spec.name} is now {new}; import that", DeprecationWarning, stacklevel=_stacklevel())
        module = import_module(new)
        spec.loader_state = module.__spec__  # the import system replaces it by the spec of the old name
        return module

    def exec_module(self, module: "ModuleType") -> None:
        assert module.__spec__ is not None  # noqa: S101 - a module being imported has one
        module.__spec__ = module.__spec__.loader_state


class _Moved:
    def find_spec(
        self, fullname: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(fullname, _Alias()) if fullname in MOVED else None  # type: ignore[arg-type]


def _stacklevel() -> int:
    """Return the stack level of the code that used the old name, counted from the caller as `warnings.warn` counts.

    `warnings.warn` skips the import machinery. Between lie importlib's `import_module` and `onepass._lazy`.
    """
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - as `warnings` itself does
    while frame.f_back is not None:
        frame = frame.f_back
        file = frame.f_code.co_filename
        if "importlib" in file and "_bootstrap" in file:
            continue
        level += 1
        if file not in _BETWEEN:
            break
    return level


def install() -> None:
    """Make the old names importable.

    They are looked up before files: otherwise a package under its old name would load its modules a second time.
    """
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Moved())
