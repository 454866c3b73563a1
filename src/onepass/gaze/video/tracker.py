"""Track faces through a video: find them at intervals, follow them in between, and keep their numbers."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import numpy as np

from onepass._errors import InputError
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.eyes import grey_from_picture
from onepass.gaze.find.faces import FaceFollower, FoundFace, TiltedFinder, name_of, without_overlaps
from onepass.gaze.geometry import Grey
from onepass.gaze.result import Box, Face, Side
from onepass.gaze.stream import StreamResult, stream_frames
from onepass.gaze.video._cuts import CutDetector
from onepass.gaze.video._likeness import Likeness, Look, look_at
from onepass.gaze.video._tracks import Track, doubles_of
from onepass.gaze.video._who import OTHER_FACE, SAME_PLACE, Memory, assign, box_distance, unlikeness
from onepass.gaze.video.smoothing import Smoothing
from onepass.media import Frame, Picture, check_picture

DETECT_EVERY = 10
"""Frames between searches for faces; fewer below 30 frames per second, as the interval is also limited in time."""

FOLLOW_EVERY = 5
"""Frames between updates of the head poses."""

_SMOOTHING = Smoothing()
# Crops placed more precisely than this, in corner distances, need no further look; there are at most this many.
_STILL = 0.03
_MORE_LOOKS = 2
_USUAL_FPS = 30.0
# Interval between searches while no face is followed, or one frame if that is longer.
_NOBODY_SECONDS = 0.1
# Tilts below this need no tilted search, and the first three tilts of a finder are the usual ones.
_UPRIGHT_DEG = 12.0
_USUAL_TILTS = 3
# Tolerance for rounded frame times.
_EARLY_SECONDS = 0.002


class GazeTracker:
    """Track the faces of a video, frame by frame.

    Faces are searched for in every n-th frame, at the latest after n thirtieths of a second; immediately when one was
    lost, and every tenth of a second while no face is followed. There is no search while a finder that can follow faces
    (`FaceFollower`: the mesh) follows the maximum number. Between searches, the eye corners detected in one frame,
    shifted with the face's movement, place the crops of the next. Usually one pass suffices; if a face has moved
    further, the network looks again, at most twice. A face that the finder repeatedly misses is followed for another
    0.8 seconds.

    Faces keep their `Face.id`, even if they are not visible for up to a second. Other faces do not get it: in case of
    doubt, their appearance is compared. A cut ends all faces; numbers are not reused. Points, gaze and head are
    smoothed, and a blinking eye keeps its previous gaze (`onepass.gaze.video.smoothing`).

    Example::

        with GazeEstimator.from_default() as estimator:
            tracker = GazeTracker(estimator)
            for seconds, picture in frames:
                faces = tracker(picture, seconds)

    A tracker is for a single video and a single thread; several trackers may share an estimator.
    """

    def __init__(
        self,
        estimator: GazeEstimator,
        *,
        every: int = DETECT_EVERY,
        follow_every: int = FOLLOW_EVERY,
        max_faces: int | None = None,
        smoothing: Smoothing | None = _SMOOTHING,
    ) -> None:
        """Start without faces.

        Args:
            estimator: Finds and analyses faces. The caller keeps ownership.
            every: Search for faces in every n-th frame, or after as many thirtieths of a second; at least 1.
            follow_every: Update head poses in every n-th frame, with a finder that can follow faces; at least 1. The
                network alone follows the eyes, in every frame.
            max_faces: Follow at most this many faces: those already followed, then the largest; None follows all.
            smoothing: Smoothing parameters; None disables smoothing, but the gaze is still held during blinks.

        Raises:
            InputError: `every`, `follow_every` or `max_faces` is below 1.
        """
        for name, number in {"every": every, "follow_every": follow_every, "max_faces": max_faces}.items():
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, got {number}")
        self._estimator = estimator
        # Checked once: per frame, the protocol checks would be slow.
        self._follower = estimator.finder if isinstance(estimator.finder, FaceFollower) else None
        self._tilted_finder = estimator.finder if isinstance(estimator.finder, TiltedFinder) else None
        self._every = every
        self._follow_every = follow_every
        self._max_faces = max_faces
        self._smoothing = smoothing
        self.reset()

    def reset(self) -> None:
        """Forget all faces, for a new video; numbers restart at 0."""
        self._tracks: list[Track] = []
        self._memory = Memory()
        self._next_id = 0
        self._frames_to_search = 0
        self._search_seconds = -np.inf
        self._searches = 0
        self._seconds = -np.inf
        self._before: Grey | None = None
        self._is_cut = CutDetector()

    def __call__(self, picture: Picture, time_seconds: float) -> list[Face]:
        """Return the faces in the next frame, ordered by number.

        Args:
            picture: uint8, RGB [H, W, 3] or grey [H, W]. If its size differs from the previous frame's, all faces are
                new.
            time_seconds: Time of the frame, not before the previous one.

        Raises:
            InputError: The picture is invalid, or the time is not finite or before the previous one.
        """
        grey = grey_from_picture(check_picture(picture))
        if not self._seconds <= time_seconds < np.inf:
            raise InputError(
                f"frames must be in order of time, got {time_seconds} seconds after {self._seconds}; "
                "call reset() before a new video"
            )
        # The caller may reuse the array of a grey picture.
        grey = grey.copy() if picture.ndim == 2 else grey
        self._seconds = time_seconds
        if self._is_cut(grey):
            self._tracks, self._memory, self._frames_to_search = [], Memory(), 0
        elif self._before is not None:
            for track in self._tracks:
                track.predict(self._before, grey)
        self._before = grey
        self._frames_to_search -= 1
        if self._is_time_to_search() and not self._is_complete():
            self._search(grey)
        elif (self._every - self._frames_to_search) % self._follow_every == 0:
            self._follow(grey, self._tracks)
        seen, moves = self._look(grey)
        for _ in range(_MORE_LOOKS):
            if max(moves, default=0.0) <= _STILL and not any(track.needs_another_look for track in self._tracks):
                break
            seen, moves = self._look(grey)
        faces = {
            track.id: self._estimator.on_screen(track.shown(face, time_seconds), grey.shape)
            for track, face in zip(self._tracks, seen, strict=True)
        }
        self._drop_lost(grey)
        return [faces[track.id] for track in self._tracks]

    def stream(
        self, frames: Iterable[Frame | Picture], *, newest: bool | None = None, eye: Side | None = None
    ) -> Generator[StreamResult, None, None]:
        """Track faces in frames, concurrently with reading the next frames and with the caller's work.

        Args:
            frames: A source of `onepass.media`, or an iterable of frames or pictures, which is read in a separate
                thread. Frames without a time are assumed to be a thirtieth of a second apart.
            newest: Whether to drop frames that arrive faster than they are processed, so that results do not lag
                behind; None selects the source's default: True for a camera, False for a video.
            eye: Return only this eye of each face, and only faces that have it; None for both.

        Yields:
            One result per frame, in order. Close or exhaust the iterator (`contextlib.closing`) to end its threads.

        Raises:
            OnepassError: An error of the source or the tracker, raised after the results of all previous frames.
        """

        def faces_of(taken: list[Frame]) -> list[list[Face]]:
            return [
                self(frame.picture, frame.index / _USUAL_FPS if frame.seconds is None else frame.seconds)
                for frame in taken
            ]

        return stream_frames(frames, faces_of, newest=newest, eye=eye, finder=name_of(self._estimator.finder))

    def _look(self, grey: Grey) -> tuple[tuple[Face, ...], list[float]]:
        """Run the network on all faces; return them, and how far off their crops were."""
        seen = self._estimator.look(grey, [track.found for track in self._tracks], passes=1).faces
        return seen, [track.follow(face, self._seconds) for track, face in zip(self._tracks, seen, strict=True)]

    def _is_time_to_search(self) -> bool:
        """Whether to search for faces in this frame."""
        passed = self._seconds - self._search_seconds + _EARLY_SECONDS
        wait = self._every / _USUAL_FPS
        return self._frames_to_search <= 0 or passed >= (wait if self._tracks else min(wait, _NOBODY_SECONDS))

    def _is_complete(self) -> bool:
        """Whether a search is unnecessary, because the finder itself follows the maximum number of faces."""
        return (
            self._max_faces is not None
            and len(self._tracks) >= self._max_faces
            and self._follower is not None
            and all(track.is_followed and not track.is_doubtful for track in self._tracks)
        )

    def _search(self, grey: Grey) -> None:
        """Search for faces, correct the known ones, and add new ones."""
        self._frames_to_search, self._search_seconds = self._every, self._seconds
        found = self._find(grey)
        # Only if identities are in doubt.
        self._memory.forget(self._seconds)
        looks = self._looks_at(grey, found) if self._memory or any(t.is_suspect for t in self._tracks) else None

        def unlike(mine: int, other: int) -> float:
            track = self._tracks[mine]
            return unlikeness(track.looks.to(looks[other]), OTHER_FACE) if looks and track.is_suspect else 0.0

        matches = assign([track.box for track in self._tracks], [face.box for face in found], unlike=unlike)
        for mine, other in matches:
            self._tracks[mine].correct(found[other], self._seconds)
        self._follow(grey, self._unmatched({mine for mine, _ in matches}))
        known = {other for _, other in matches}
        new = [
            (face, looks[index] if looks else None)
            for index, face in enumerate(found)
            if index not in known and not self._is_disputed(face.box)
        ]
        if self._max_faces is not None:
            new.sort(key=lambda each: -each[0].box.area_px)
            new = new[: max(0, self._max_faces - len(self._tracks))]
        self._add(new)

    def _find(self, grey: Grey) -> list[FoundFace]:
        """Return the faces that the finder finds, with a selection of tilts for a `TiltedFinder`.

        The tilts are those of the followed heads; without followed heads, the usual tilts and one of the others in
        turn.
        """
        finder = self._tilted_finder
        if finder is None:
            return self._estimator.finder(grey)
        if self._tracks:
            tilts = [0.0, *(track.tilt_deg for track in self._tracks if abs(track.tilt_deg) > _UPRIGHT_DEG)]
            return without_overlaps([face for tilt_deg in tilts for face in finder.find_tilted(grey, tilt_deg)])
        usual, others = finder.tilts_deg[:_USUAL_TILTS], finder.tilts_deg[_USUAL_TILTS:]
        self._searches += 1
        tilts = [*usual, *others[self._searches % max(len(others), 1) :][:1]]
        return next(filter(None, (finder.find_tilted(grey, tilt_deg) for tilt_deg in tilts)), [])

    def _is_disputed(self, box: Box) -> bool:
        """Whether a found face may be a followed one whose identity is in doubt."""
        return any(track.is_suspect and box_distance(track.box, box) <= SAME_PLACE for track in self._tracks)

    def _looks_at(self, grey: Grey, found: Sequence[FoundFace]) -> list[Look | None]:
        """Return looks at the found faces, with eyes placed by the network, which is more precise than the finders."""
        faces = self._estimator.look(grey, found).faces
        return [look_at(grey, {eye.side: eye.corners for eye in face.eyes}) for face in faces]

    def _unmatched(self, matched: set[int]) -> list[Track]:
        """Return the tracks that the finder missed; drop those that the network did not detect either."""
        missed = [track for index, track in enumerate(self._tracks) if index not in matched]
        self._lose([track for track in missed if track.is_doubtful])
        missed = [track for track in missed if not track.is_doubtful]
        for track in missed:
            track.forget_head()
        return missed

    def _lose(self, tracks: Sequence[Track]) -> None:
        """Drop tracks, and remember them for a while."""
        for track in tracks:
            self._memory.add(track.id, track.box, track.looks, self._seconds)
        self._tracks = [track for track in self._tracks if track not in tracks]

    def _add(self, new: Sequence[tuple[FoundFace, Look | None]]) -> None:
        """Follow new faces, with their old numbers if they were lost recently."""
        known = self._memory.recall([(face.box, look) for face, look in new], self._seconds)
        for index, (face, look) in enumerate(new):
            if index not in known and self._memory.is_to_wait(face.box, look, self._seconds):
                self._frames_to_search = 0
                continue
            number, looks = known.get(index, (self._next_id, Likeness()))
            self._next_id += index not in known
            self._tracks.append(Track(number, face, self._smoothing, self._seconds, looks))
        self._tracks.sort(key=lambda track: track.id)

    def _follow(self, grey: Grey, tracks: Sequence[Track]) -> None:
        """Update tracks with a finder that can follow faces."""
        if self._follower is not None:
            seen = self._follower.follow(grey, [track.found for track in tracks])
            for track, found in zip(tracks, seen, strict=True):
                if found is None:
                    track.forget_head()
                else:
                    track.correct(found, self._seconds)

    def _drop_lost(self, grey: Grey) -> None:
        """Drop faces that are gone or have changed identity; if one is in doubt, search in the next frame."""
        before = len(self._tracks)
        for track in self._tracks:
            track.drop_eyes(self._seconds, grey.shape)
        self._lose([track for track in self._tracks if not track.corners or track.is_missed(self._seconds)])
        self._lose([track for track in self._tracks if not track.compare(grey)])
        self._lose(doubles_of(self._tracks, grey))
        if len(self._tracks) < before or any(track.is_doubtful for track in self._tracks):
            self._frames_to_search = 0
