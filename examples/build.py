"""Build an engine from an ONNX model: python -m examples.build MODEL.onnx [ENGINE]."""

import sys
from pathlib import Path

import onepass


def main(model: str, engine: str | None = None) -> None:
    """Build for batch sizes 1 to 64, optimised for 8, in half precision where it is safe."""
    path = engine or str(Path(model).with_suffix(".engine"))
    try:
        plan = onepass.build(model, path, batch=(1, 8, 64), precision="fp16")
    except onepass.MissingExtraError as error:
        print(f"not built: {error}")
        return
    print(f"{path}: {', '.join(plan.signature.output_names)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
