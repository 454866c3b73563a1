"""Faces through a video: found now and then, followed in between, with numbers that stay theirs."""

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
"""Frames from one search for faces to the next; at less than 30 frames a second fewer, by time."""

FOLLOW_EVERY = 5
"""Frames from one look at how heads are turned to the next."""

_SMOOTHING = Smoothing()
# Crops that were placed better than this, in corner distances, need no other look, of which there are so many at most.
_STILL = 0.03
_MORE_LOOKS = 2
_USUAL_FPS = 30.0
# While nobody is followed, faces are searched for as often as this, or in every frame that is longer.
_NOBODY_SECONDS = 0.1
# Finders that look for tilts see heads tilted by less as they see upright ones, and the first three are usual.
_UPRIGHT_DEG = 12.0
_USUAL_TILTS = 3
# Times of frames are rounded: one that comes this early is in time.
_EARLY_SECONDS = 0.002


class GazeTracker:
    """Faces of a video, frame by frame: the estimator with a memory.

    Faces are looked for in every n-th frame, at the latest after n thirtieths of a second; at once when one was lost,
    and every tenth of a second while nobody is followed. Not while as many as are wanted are followed by a finder that
    can do so (`FaceFollower`: the mesh). In between the corners that the network saw in one frame, moved on as the face
    moves, place the crops of the next. One pass is mostly enough; where the face went elsewhere, the network looks
    again, twice at most. A face that the finder misses, search after search, is followed for 0.8 seconds more.

    Faces keep their `Face.id`, also when they were not seen for up to a second. No other face gets it: where it is in
    doubt who is seen, looks are compared. A cut ends all faces; numbers go on. Points, gaze and head are smoothed, and
    an eye that blinks keeps the gaze it had (`onepass.gaze.video.smoothing`).

    Example::

        with GazeEstimator.from_default() as estimator:
            tracker = GazeTracker(estimator)
            for seconds, picture in frames:
                faces = tracker(picture, seconds)

    One tracker is for one video and for one thread; several may share an estimator.
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
        """Start with no faces.

        Args:
            estimator: What finds and reads faces. It stays the caller's.
            every: Faces are looked for in every n-th frame, at least 1, or after as many thirtieths of a second.
            follow_every: A finder that can follow faces is asked in every n-th frame how heads are turned, at least 1.
                The network alone follows the eyes, in every frame.
            max_faces: Follow only that many: those that are followed already, then the largest; None follows all.
            smoothing: How strongly to smooth; None leaves everything as it was seen, but for the gaze of a blink.

        Raises:
            InputError: A number is below 1.
        """
        for name, number in {"every": every, "follow_every": follow_every, "max_faces": max_faces}.items():
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, got {number}")
        self._estimator = estimator
        # Asked once: in every frame it would be felt.
        self._follower = estimator.finder if isinstance(estimator.finder, FaceFollower) else None
        self._tilted_finder = estimator.finder if isinstance(estimator.finder, TiltedFinder) else None
        self._every = every
        self._follow_every = follow_every
        self._max_faces = max_faces
        self._smoothing = smoothing
        self.reset()

    def reset(self) -> None:
        """Forget all faces, as for another video; numbers start at 0 again."""
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
        """Return the faces in the next frame, by their numbers.

        Args:
            picture: uint8, RGB [H, W, 3] or grey [H, W]. In a frame of another size than the last one's, all faces
                are new.
            time_seconds: When it was taken, not before the last one.

        Raises:
            InputError: It is no such picture, or its time is no number or before the last one's.
        """
        grey = grey_from_picture(check_picture(picture))
        if not self._seconds <= time_seconds < np.inf:
            raise InputError(
                f"frames must come in the order of their times, got {time_seconds} seconds after {self._seconds}; "
                "call reset() before another video"
            )
        # A grey picture is its caller's own, who may put the next one there.
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
        """Follow faces from frame to frame, while the next are read and the caller is busy with the last.

        Args:
            frames: A source of `onepass.media`, or any frames or pictures. They are read in a thread of their own.
                Those that have no time are taken to be a thirtieth of a second apart.
            newest: Whether frames that come while there is no time for them are left out, so that the results never
                lag behind; None for what the source calls for: a camera yes, a video no.
            eye: Give only this eye of each face, and only faces that have it; None for both.

        Yields:
            One result a frame, in order. Close the iterator (`contextlib.closing`), or use it up, to end its threads.

        Raises:
            OnepassError: What the source or the tracker raised, after the results of all frames before.
        """

        def faces_of(taken: list[Frame]) -> list[list[Face]]:
            return [
                self(frame.picture, frame.index / _USUAL_FPS if frame.seconds is None else frame.seconds)
                for frame in taken
            ]

        return stream_frames(frames, faces_of, newest=newest, eye=eye, finder=name_of(self._estimator.finder))

    def _look(self, grey: Grey) -> tuple[tuple[Face, ...], list[float]]:
        """Let the network look at all faces; return them, and how far off their crops were."""
        seen = self._estimator.look(grey, [track.found for track in self._tracks], passes=1).faces
        return seen, [track.follow(face, self._seconds) for track, face in zip(self._tracks, seen, strict=True)]

    def _is_time_to_search(self) -> bool:
        """Whether to look for faces in this frame."""
        passed = self._seconds - self._search_seconds + _EARLY_SECONDS
        wait = self._every / _USUAL_FPS
        return self._frames_to_search <= 0 or passed >= (wait if self._tracks else min(wait, _NOBODY_SECONDS))

    def _is_complete(self) -> bool:
        """Whether a search would tell nothing new: all the faces that are wanted are followed by the finder itself."""
        return (
            self._max_faces is not None
            and len(self._tracks) >= self._max_faces
            and self._follower is not None
            and all(track.is_followed and not track.is_doubtful for track in self._tracks)
        )

    def _search(self, grey: Grey) -> None:
        """Look for faces, correct those that are known, and add new ones."""
        self._frames_to_search, self._search_seconds = self._every, self._seconds
        found = self._find(grey)
        # Only where it is in doubt who is who.
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
        """Return what the finder finds; one that looks for tilt after tilt is not asked for all of them at once.

        It looks for the tilts of the heads that are followed; while there are none, for the usual ones, and for one of
        the others in turn.
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
        """Whether it is not settled yet if a face that was found is one that is followed."""
        return any(track.is_suspect and box_distance(track.box, box) <= SAME_PLACE for track in self._tracks)

    def _looks_at(self, grey: Grey, found: Sequence[FoundFace]) -> list[Look | None]:
        """Return what the faces that were found look like: the network places their eyes, which finders do roughly."""
        faces = self._estimator.look(grey, found).faces
        return [look_at(grey, {eye.side: eye.corners for eye in face.eyes}) for face in faces]

    def _unmatched(self, matched: set[int]) -> list[Track]:
        """Return the tracks that the finder does not see; let go of those that the network did not see either."""
        missed = [track for index, track in enumerate(self._tracks) if index not in matched]
        self._lose([track for track in missed if track.is_doubtful])
        missed = [track for track in missed if not track.is_doubtful]
        for track in missed:
            track.forget_head()
        return missed

    def _lose(self, tracks: Sequence[Track]) -> None:
        """Let go of tracks, and remember them for a while."""
        for track in tracks:
            self._memory.add(track.id, track.box, track.looks, self._seconds)
        self._tracks = [track for track in self._tracks if track not in tracks]

    def _add(self, new: Sequence[tuple[FoundFace, Look | None]]) -> None:
        """Follow new faces, under their old numbers if they were lost a moment ago."""
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
        """Ask a finder that can follow faces where they are now."""
        if self._follower is not None:
            seen = self._follower.follow(grey, [track.found for track in tracks])
            for track, found in zip(tracks, seen, strict=True):
                if found is None:
                    track.forget_head()
                else:
                    track.correct(found, self._seconds)

    def _drop_lost(self, grey: Grey) -> None:
        """Let go of faces that are gone or have become others; where one is in doubt, search the next frame."""
        before = len(self._tracks)
        for track in self._tracks:
            track.drop_eyes(self._seconds, grey.shape)
        self._lose([track for track in self._tracks if not track.corners or track.is_missed(self._seconds)])
        self._lose([track for track in self._tracks if not track.compare(grey)])
        self._lose(doubles_of(self._tracks, grey))
        if len(self._tracks) < before or any(track.is_doubtful for track in self._tracks):
            self._frames_to_search = 0
