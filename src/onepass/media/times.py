"""Times that rise, from what a file says of its frames."""

from __future__ import annotations

# A time that goes back by this many frames is where another recording begins; by less, the file's times are not exact.
_JOINT_FRAMES = 3
_STEP_SECONDS = 0.001  # from a frame to one that claims the same time


class Timeline:
    """Turns the times that a file gives, one after the other, into times that only rise.

    Gaps stay as they are. Where a time is missing, or jumps back because recordings were joined, time goes on by the
    duration of what came before, and what follows is counted from there. Where it stands still or goes back a little,
    it rises by a millisecond until the file's times have caught up.
    """

    def __init__(self, usual_seconds: float, joints: list[float] | None = None) -> None:
        """Begin.

        Args:
            usual_seconds: How long a frame or packet lasts that does not say so itself, above 0.
            joints: Where to put, for each place where recordings were joined, by how much what follows is moved.
        """
        self._usual_seconds = usual_seconds
        self.joints: list[float] = [] if joints is None else joints
        self._raw = self._last = float("-inf")
        self._next = 0.0  # when what came last is over
        self._shift = 0.0

    def is_joint(self, raw: float | None, duration: float = 0.0) -> bool:
        """Whether another recording begins with what has this time and duration; see `place`."""
        return raw is not None and raw < self._raw - _JOINT_FRAMES * self._lasts(duration)

    def _lasts(self, duration: float) -> float:
        return max(duration, _STEP_SECONDS) if duration > 0 else self._usual_seconds

    def place(self, raw: float | None, duration: float = 0.0, *, moved: float | None = None) -> float:
        """Return when something begins, in seconds.

        Args:
            raw: Its time as the file has it, in seconds; None where it has none.
            duration: How long it lasts, in seconds; 0 where that is unknown.
            moved: By how much to move what follows, if this is a joint; None for what goes on without a gap.
        """
        if raw is None:
            begins = self._next
            raw = begins - self._shift
        else:
            if self.is_joint(raw, duration):
                self._shift = self._next - raw if moved is None else moved
                self.joints.append(self._shift)
            begins = max(raw + self._shift, self._last + _STEP_SECONDS)
        self._raw, self._last, self._next = raw, begins, begins + self._lasts(duration)
        return begins

    def go_on_at(self, seconds: float) -> None:
        """Let what comes next, whatever its time, begin at a time of ours: the stream was opened anew."""
        self._raw = float("inf")
        self._next = max(seconds, self._last + _STEP_SECONDS)


class BestEffort:
    """Chooses between a frame's two times, as FFmpeg's tools do: when it is shown, and when it was to be decoded.

    The time of showing counts, unless it is missing or went back more often than the other did. Its source is
    ``guess_correct_pts`` in FFmpeg's ``libavcodec/decode.c``.
    """

    def __init__(self) -> None:
        self._shown = self._decoded = float("-inf")
        self._shown_faults = self._decoded_faults = 0

    def choose(self, shown: float | None, decoded: float | None) -> float | None:
        """Return the better one of two times of a frame; None where it has neither."""
        if decoded is not None:
            self._decoded_faults += decoded <= self._decoded
            self._decoded = decoded
        if shown is not None:
            self._shown_faults += shown <= self._shown
            self._shown = shown
        if shown is None or (decoded is not None and self._shown_faults > self._decoded_faults):
            return decoded
        return shown
