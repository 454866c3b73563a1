"""Count blinks: how often each face's eyes have closed."""

from __future__ import annotations

from collections.abc import Sequence

from onepass.gaze.result import Face


class BlinkCounter:
    """Count, per face number, how often all visible eyes have closed.

    A face that was away for long returns as a new one, so old faces are forgotten.
    """

    _KEPT = 64

    def __init__(self) -> None:
        """Start without faces."""
        self._shut: set[int] = set()
        self._counts: dict[int, int] = {}

    def take(self, faces: Sequence[Face]) -> tuple[int, ...]:
        """Add the faces of a frame; return the numbers of those that started to blink."""
        started = []
        for face in faces:
            if face.id is None:
                continue
            count = self._counts.pop(face.id, 0)
            if not all(eye.blink for eye in face.eyes):
                self._shut.discard(face.id)
            elif face.id not in self._shut:
                self._shut.add(face.id)
                started.append(face.id)
                count += 1
            self._counts[face.id] = count  # recently seen faces are at the end
        for gone in list(self._counts)[: max(0, len(self._counts) - self._KEPT)]:
            del self._counts[gone]
            self._shut.discard(gone)
        return tuple(started)

    def of(self, face: Face) -> int | None:
        """Return how often a face has blinked; None if faces are not tracked."""
        return None if face.id is None else self._counts.get(face.id, 0)
