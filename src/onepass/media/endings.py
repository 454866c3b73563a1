"""Detect truncated files of formats for which FFmpeg does not: ASF (WMV) and MPEG program streams (MPG, VOB)."""

from __future__ import annotations

import struct
from pathlib import Path

# The object near the start of an ASF file that contains the duration.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEAD_BYTES = 1 << 16
# A program stream consists of packs of packets of at most 64 KB.
_PACK, _PACKET, _END = b"\x00\x00\x01\xba", b"\x00\x00\x01", 0xB9
_TAIL_BYTES = 1 << 18


def asf_seconds(path: Path) -> float:
    """Return an ASF file's duration by its header, which FFmpeg ignores if the file size differs; 0 if unknown."""
    with path.open("rb") as file:
        head = file.read(_ASF_HEAD_BYTES)
    place = head.find(_ASF_PROPERTIES)
    if place < 0 or len(head) < place + 92:
        return 0.0
    # After the object's id and size come the file's id, size, date and packets; then the play duration (100 ns), the
    # send duration, the preroll (ms), and flags (bit 0: the header was written before these values were known).
    plays, _, wait, flags = struct.unpack_from("<QQQI", head, place + 64)
    return 0.0 if flags & 1 else float(plays / 1e7 - wait / 1e3)


def program_stream_is_cut(path: Path) -> bool:
    """Whether the last packet of an MPEG program stream declares a length beyond the end of the file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    place = tail.find(_PACK)
    while 0 <= place < len(tail) and tail.startswith(_PACKET, place) and tail[place + 3 : place + 4] != bytes([_END]):
        if place + 14 > len(tail):
            return True
        if tail.startswith(_PACK, place):
            # MPEG-2 (ISO/IEC 13818-1, 2.5.3.3) starts with the bits 01 and has stuffing; MPEG-1 headers are shorter.
            place += 14 + (tail[place + 13] & 7) if tail[place + 4] >> 6 == 1 else 12
        else:
            place += 6 + int.from_bytes(tail[place + 4 : place + 6], "big")
    return place > len(tail)
