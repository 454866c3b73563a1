"""Convert a file's frame times to increasing times."""

from __future__ import annotations

# A jump back by this many frames starts another recording; a smaller one is an inaccuracy of the file.
_JOINT_FRAMES = 3
_STEP_SECONDS = 0.001  # between frames of the same time


class Timeline:
    """Convert a file's consecutive times to strictly increasing times.

    Gaps are kept. If a time is missing, or jumps back because recordings were joined, time continues after the duration
    of the previous item, and later times are shifted accordingly. If times stand still or go back slightly, time
    increases by a millisecond per item until the file's times have caught up.
    """

    def __init__(self, usual_seconds: float, joints: list[float] | None = None) -> None:
        """Start a timeline.

        Args:
            usual_seconds: Duration of a frame or packet without a duration of its own, > 0.
            joints: Gets the time shift of each place where recordings were joined.
        """
        self._usual_seconds = usual_seconds
        self.joints: list[float] = [] if joints is None else joints
        self._raw = self._last = float("-inf")
        self._next = 0.0  # the end of the last item
        self._shift = 0.0

    def is_joint(self, raw: float | None, duration: float = 0.0) -> bool:
        """Whether an item of this time and duration starts another recording; see `place`."""
        return raw is not None and raw < self._raw - _JOINT_FRAMES * self._lasts(duration)

    def _lasts(self, duration: float) -> float:
        return max(duration, _STEP_SECONDS) if duration > 0 else self._usual_seconds

    def place(self, raw: float | None, duration: float = 0.0, *, moved: float | None = None) -> float:
        """Return the start of an item in seconds.

        Args:
            raw: Its time in the file, in seconds; None if it has none.
            duration: Its duration in seconds; 0 if unknown.
            moved: The time shift if this is a joint; None to continue without a gap.
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
        """Set the start of the next item, whatever its time in the file, because the stream was reopened."""
        self._raw = float("inf")
        self._next = max(seconds, self._last + _STEP_SECONDS)


class BestEffort:
    """Chooses between a frame's two times, as FFmpeg's tools do: when it is shown, and when it was to be decoded.

    The presentation time is used, unless it is missing or has gone back more often than the decoding time. The method
    is from ``guess_correct_pts`` in FFmpeg's ``libavcodec/decode.c``.
    """

    def __init__(self) -> None:
        self._shown = self._decoded = float("-inf")
        self._shown_faults = self._decoded_faults = 0

    def choose(self, shown: float | None, decoded: float | None) -> float | None:
        """Return the better of a frame's two times; None if it has neither."""
        if decoded is not None:
            self._decoded_faults += decoded <= self._decoded
            self._decoded = decoded
        if shown is not None:
            self._shown_faults += shown <= self._shown
            self._shown = shown
        if shown is None or (decoded is not None and self._shown_faults > self._decoded_faults):
            return decoded
        return shown
