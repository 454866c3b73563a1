"""TensorFlow's checkpoints, read without it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from onepass import ModelFormatError, ModelNotFoundError, UnsupportedModelError
from onepass.source.frameworks.gazeml._string_table import masked_crc32c
from onepass.source.frameworks.gazeml._tensor_bundle import TensorBundle
from tests.source.bundles import field, index_bytes, write_bundle

_ARRAYS = st.dictionaries(
    st.text("ab/_é", min_size=1, max_size=12),
    arrays_of.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]), arrays_of.array_shapes(min_dims=0)
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@given(arrays=_ARRAYS, per_block=st.integers(1, 8), restart_interval=st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path: Path, arrays: dict[str, Any], per_block: int, restart_interval: int) -> None:
    """Every tensor comes back with its name, dtype, shape and bits, however the index is cut into blocks."""
    bundle = TensorBundle(
        write_bundle(tmp_path / "model-1", arrays, per_block=per_block, restart_interval=restart_interval)
    )
    assert bundle.shapes == {name: array.shape for name, array in arrays.items()}
    for name, array in arrays.items():
        found = bundle.read(name)
        assert found.dtype == array.dtype
        assert found.tobytes() == array.tobytes()


def test_checksum() -> None:
    """The checksum is CRC-32C: the value for "123456789" is the one of its definition, turned as LevelDB stores it."""
    crc = 0xE3069283
    assert masked_crc32c(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A small checkpoint."""
    return write_bundle(tmp_path / "model-1", {f"layer{i}/kernel": np.full(4, i, np.float32) for i in range(20)})


def _read_all(prefix: Path) -> dict[str, bytes]:
    bundle = TensorBundle(prefix)
    return {name: bundle.read(name).tobytes() for name in bundle.shapes}


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
def test_damage_is_found(prefix: Path, ending: str) -> None:
    """No flipped bit and no cut is read as if nothing were wrong, and the message names the file."""
    path = prefix.with_name(prefix.name + ending)
    whole, good = path.read_bytes(), _read_all(prefix)
    choose = random.Random(0)
    damaged = [whole[:cut] for cut in {0, 1, 47, len(whole) // 2, len(whole) - 1}]
    for _ in range(150):
        place, bit = choose.randrange(len(whole)), choose.randrange(8)
        damaged.append(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    for data in damaged:
        path.write_bytes(data)
        try:
            found = _read_all(prefix)
        except (ModelFormatError, UnsupportedModelError) as error:
            message = str(error)
        else:
            assert (
                found == good
            )  # the flip was where no tensor depends on it: the padding, the block that is left empty
            continue
        assert path.name in message


def test_truncated_data_says_how_much_is_missing(prefix: Path) -> None:
    """A cut in the numbers says how many bytes are there, and which variable needs more."""
    data = prefix.with_name(prefix.name + ".data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(ModelFormatError, match=r"it has 312 bytes, but variable 'layer9/kernel' ends at 320"):
        _read_all(prefix)


def test_missing_files_are_named(prefix: Path) -> None:
    """A checkpoint with no index, or no numbers, says which file is missing."""
    prefix.with_name(prefix.name + ".data-00000-of-00001").unlink()
    with pytest.raises(ModelNotFoundError, match=r"model-1\.data-00000-of-00001, with the variable .*, is missing"):
        _read_all(prefix)
    prefix.with_name(prefix.name + ".index").unlink()
    with pytest.raises(ModelNotFoundError, match=r"model-1\.index is missing"):
        TensorBundle(prefix)


@pytest.mark.parametrize(
    ("entry", "words"),
    [(field(1, 7), "TensorFlow's dtype 7"), (field(1, 1) + field(7, b""), "is partitioned")],
    ids=["strings", "slices"],
)
def test_what_is_no_plain_tensor_is_refused(prefix: Path, entry: bytes, words: str) -> None:
    """Strings and partitioned variables are named when they are asked for."""
    pairs = [(b"", field(1, 1)), (b"odd", entry)]
    prefix.with_name(prefix.name + ".index").write_bytes(index_bytes(pairs))
    with pytest.raises(UnsupportedModelError, match=words):
        TensorBundle(prefix).read("odd")


def test_other_machines_tables_are_refused(prefix: Path) -> None:
    """A compressed index, and one of a big-endian machine, are refused by their name."""
    index = prefix.with_name(prefix.name + ".index")
    index.write_bytes(index_bytes([(b"", field(1, 1))], compression=1))
    with pytest.raises(UnsupportedModelError, match=r"model-1\.index is compressed"):
        TensorBundle(prefix)
    index.write_bytes(index_bytes([(b"", field(1, 1) + field(2, 1))]))
    with pytest.raises(UnsupportedModelError, match="big-endian"):
        TensorBundle(prefix)
