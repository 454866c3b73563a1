"""Blinks counted: how often the eyes of each face have shut."""

from __future__ import annotations

from collections.abc import Sequence

from onepass.gaze.result import Face


class BlinkCounter:
    """Counts, face by face, how often all of its eyes that are seen have shut. Faces are known by their numbers.

    A face that was not seen for long comes back as a new one, so what is known of faces that are gone is let go.
    """

    _KEPT = 64

    def __init__(self) -> None:
        """Begin with no face."""
        self._shut: set[int] = set()
        self._counts: dict[int, int] = {}

    def take(self, faces: Sequence[Face]) -> tuple[int, ...]:
        """Take in the faces of a frame; return the numbers of those that began to blink."""
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
            self._counts[face.id] = count  # the last seen are last
        for gone in list(self._counts)[: max(0, len(self._counts) - self._KEPT)]:
            del self._counts[gone]
            self._shut.discard(gone)
        return tuple(started)

    def of(self, face: Face) -> int | None:
        """Return how often a face has blinked; None where faces are not followed."""
        return None if face.id is None else self._counts.get(face.id, 0)
