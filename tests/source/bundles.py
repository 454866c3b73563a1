"""TensorFlow checkpoints written without TensorFlow: what `TensorBundle` has to read, and GazeML's weights in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from onepass.source.frameworks.gazeml._elg import ElgSize, unused_variables
from onepass.source.frameworks.gazeml._folder import _expected_shapes
from onepass.source.frameworks.gazeml._string_table import masked_crc32c

Arrays = Mapping[str, np.ndarray[Any, Any]]
_DTYPE_NUMBERS = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "bool": 10, "float16": 19}


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    data = b""
    while number > 0x7F:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    """A protobuf field; the checksum, number 6, is the only one of a fixed size."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3 | 5) + value.to_bytes(4, "little") if number == 6 else varint(number << 3) + varint(value)


def _entry(array: np.ndarray[Any, Any], offset: int) -> bytes:
    shape = b"".join(field(2, field(1, size)) for size in array.shape)
    data = array.tobytes()
    number = _DTYPE_NUMBERS[array.dtype.name]
    where = field(4, offset) + field(5, len(data)) + field(6, masked_crc32c(data))
    return field(1, number) + field(2, shape) + where


def _block(pairs: Iterable[tuple[bytes, bytes]], restart_interval: int) -> bytes:
    content, restarts, before = b"", [], b""
    for index, (key, value) in enumerate(pairs):
        shared = 0
        if index % restart_interval:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            restarts.append(len(content))
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    content += b"".join(place.to_bytes(4, "little") for place in [*restarts, len(restarts)])
    return content


def _sealed(block: bytes, compression: int = 0) -> bytes:
    block += bytes([compression])
    return block + masked_crc32c(block).to_bytes(4, "little")


def index_bytes(
    pairs: Iterable[tuple[bytes, bytes]], *, per_block: int = 7, restart_interval: int = 4, compression: int = 0
) -> bytes:
    """A sorted string table of those keys and values."""
    pairs = sorted(pairs)
    data, handles = b"", []
    for start in range(0, len(pairs), per_block):
        block = _block(pairs[start : start + per_block], restart_interval)
        handles.append((pairs[min(start + per_block, len(pairs)) - 1][0], varint(len(data)) + varint(len(block))))
        data += _sealed(block, compression)
    footer = b""
    for block in (_block([], 1), _block(handles, 1)):
        footer += varint(len(data)) + varint(len(block))
        data += _sealed(block)
    return data + footer.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")


def write_bundle(prefix: Path, arrays: Arrays, **how: int) -> Path:
    """Write arrays as a checkpoint of one shard, and note it in the folder's file ``checkpoint``."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    data, pairs = b"", [(b"", field(1, 1) + field(3, field(1, 1)))]
    for name, array in sorted(arrays.items()):
        pairs.append((name.encode(), _entry(array, len(data))))
        data += array.tobytes()
    prefix.with_name(f"{prefix.name}.index").write_bytes(index_bytes(pairs, **how))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    note = f'model_checkpoint_path: "/home/someone/outputs/{prefix.name}"\nall_model_checkpoint_paths: "old"\n'
    (prefix.parent / "checkpoint").write_text(note)
    return prefix


def elg_variables(size: ElgSize, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Random variables of a whole network: variances as large as trained ones get, heatmaps of values near 1."""
    rng = np.random.default_rng(seed)
    unused = dict.fromkeys(unused_variables(size), (size.features,))
    variables = {}
    for name, shape in {**_expected_shapes(size), **unused}.items():
        if name.endswith("moving_variance"):
            values = 10 ** rng.uniform(-2, 5.6, shape)
        elif name.endswith("gamma"):
            values = rng.uniform(0.5, 2, shape)
        elif name.endswith("kernel"):
            values = rng.normal(0, (0.1 if "/hmap/" in name else 1) / np.sqrt(np.prod(shape[:-1])), shape)
        else:
            values = rng.normal(0, 0.3, shape)
        variables[name] = values.astype(np.float32)
    return variables


def write_gazeml(folder: Path, variables: Arrays) -> Path:
    """Write variables as GazeML's archives hold them: a checkpoint for the hourglasses, one for the radius."""
    for part in ("hourglass", "radius"):
        mine = {name: array for name, array in variables.items() if name.startswith(f"{part}/")}
        write_bundle(folder / "checkpoints" / part / "model-4672000", mine)
    return folder
