"""Whether a file is whole, where FFmpeg does not say: ASF (WMV) and MPEG program streams (MPG, VOB)."""

from __future__ import annotations

import struct
from pathlib import Path

# The object in an ASF file that says how long it is, near the beginning.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEAD_BYTES = 1 << 16
# A program stream is packs of packets, each at most 64 KB long.
_PACK, _PACKET, _END = b"\x00\x00\x01\xba", b"\x00\x00\x01", 0xB9
_TAIL_BYTES = 1 << 18


def asf_seconds(path: Path) -> float:
    """Return how long an ASF file is by its header, which FFmpeg does not believe when the size is another; or 0."""
    with path.open("rb") as file:
        head = file.read(_ASF_HEAD_BYTES)
    place = head.find(_ASF_PROPERTIES)
    if place < 0 or len(head) < place + 92:
        return 0.0
    # After its name and size, the file's name, size, date and packets; then how long it plays, in 100 ns, and is sent,
    # and how long a player is to wait first, in ms; and whether this was written before all that was known.
    plays, _, wait, flags = struct.unpack_from("<QQQI", head, place + 64)
    return 0.0 if flags & 1 else float(plays / 1e7 - wait / 1e3)


def program_stream_is_cut(path: Path) -> bool:
    """Whether the last packet of an MPEG program stream says that it is longer than what is there of it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    place = tail.find(_PACK)
    while 0 <= place < len(tail) and tail.startswith(_PACKET, place) and tail[place + 3 : place + 4] != bytes([_END]):
        if place + 14 > len(tail):
            return True
        if tail.startswith(_PACK, place):
            # MPEG-2 (ISO/IEC 13818-1, 2.5.3.3) has two bits, and stuffing; MPEG-1 is shorter.
            place += 14 + (tail[place + 13] & 7) if tail[place + 4] >> 6 == 1 else 12
        else:
            place += 6 + int.from_bytes(tail[place + 4 : place + 6], "big")
    return place > len(tail)
