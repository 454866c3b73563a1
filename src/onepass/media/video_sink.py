"""Write videos with PyAV, with the sound of the source video."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import MediaError
from onepass._optional import optional
from onepass.drafts import Draft
from onepass.media.colours import usual_colours
from onepass.media.frames import Frame, Sink
from onepass.media.pictures import Picture, check_picture
from onepass.media.sound import Sound

# H.264 without B-frames, which need times before the first frame that not every container supports.
_H264 = ("libx264", {"preset": "veryfast", "crf": "20", "bf": "0"})
_VP9 = ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "6", "crf": "30", "b": "0"})
_ENCODERS = {".mp4": _H264, ".m4v": _H264, ".mov": _H264, ".mkv": _H264, ".webm": _VP9}
# A plain MP4 can be read only once it is finished. Written in fragments of one second, it can be read at any time, so a
# full disk or a killed process leaves a usable file; finishing converts it to a plain one. Matroska uses clusters.
_FRAGMENTS = {"movflags": "+hybrid_fragmented+delay_moov", "frag_duration": "1000000", "flush_packets": "1"}  # μs
_CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1"}  # ms

VIDEO_SUFFIXES: tuple[str, ...] = tuple(_ENCODERS)
"""Suffixes that `VideoSink` supports."""

_TIME_BASE = Fraction(1, 90_000)  # seconds; represents all usual frame rates, and a camera's irregular times
_DEFAULT_FPS = 30.0


class VideoSink(Sink):
    """A video file: H.264 in MP4, MOV or Matroska, VP9 in WebM; each frame has its own time.

    Sound is copied if the container supports its codec, and re-encoded otherwise. All frames get the size of the first:
    others are scaled to fit, with black borders. An odd width or height, which the encoders do not support, is padded
    by repeating the last pixels.

    The file is written under a temporary name and renamed when closed, also after an error, so everything written so
    far can be played. A killed process leaves the hidden temporary file next to the target; it can be played except for
    the last few seconds.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float | None = None,
        sound_of: str | os.PathLike[str] | None = None,
        joints: Sequence[float] = (),
    ) -> None:
        """Open the file.

        Args:
            path: Path of the file, with one of `VIDEO_SUFFIXES`.
            fps: Frames per second, for frames without a time, and for the encoder's rate; by default 30.
            sound_of: The video whose sound to keep, if it has any.
            joints: The `joints` of the `VideoSource` that reads this video, which keep the sound in sync.

        Raises:
            MediaError: The suffix is unknown, or the file cannot be written.
            MissingExtraError: PyAV is not installed.
        """
        super().__init__()
        self._av = optional("av", extra="gaze", purpose="Writing videos")
        self._path = Path(path)
        suffix = self._path.suffix.lower()
        if suffix not in _ENCODERS:
            raise MediaError(f"unknown video format {str(path)!r}; use a name that ends in {', '.join(VIDEO_SUFFIXES)}")
        self._encoder, self._encoder_options = _ENCODERS[suffix]
        self._fps = fps or _DEFAULT_FPS
        options = _CLUSTERS if suffix in (".mkv", ".webm") else _FRAGMENTS
        try:
            self._draft = Draft(self._path)  # PyAV opens files at the first frame; report errors now instead
            self._container = self._av.open(str(self._draft.path), "w", container_options=options)
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {error.strerror or error}") from error
        try:
            self._sound = None if sound_of is None else Sound(sound_of, self._container, self.notes, joints)
        except MediaError:
            self._draft.discard()
            raise
        self._stream: Any = None
        self._frames = 0
        self._last_pts = -1
        self._closed = False

    def write(self, frame: Frame, picture: Picture) -> None:
        """Encode a picture at the frame's time, or after the previous picture if the frame has no time."""
        picture = check_picture(picture)
        try:
            if self._stream is None:
                self._begin(picture)
            video = self._av.VideoFrame.from_ndarray(_even(picture), format="rgb24")
            stream = self._stream
            if (video.width, video.height) != (stream.width, stream.height):
                video = self._av.VideoFrame.from_ndarray(_framed(video, stream.width, stream.height), format="rgb24")
            seconds = self._frames / self._fps if frame.seconds is None else frame.seconds
            video = self._colours.yuv(video)
            video.pts = self._last_pts = max(round(seconds / _TIME_BASE), self._last_pts + 1)
            video.time_base = _TIME_BASE
            self._mux(stream.encode(video))
            if self._sound is not None:
                self._sound.mux_until(seconds)
        except self._av.error.FFmpegError as error:
            raise MediaError(self._failed(error)) from error
        self._frames += 1

    def _mux(self, packets: Any) -> None:
        """Write pictures to the container, which may discover only now that it does not support the sound."""
        try:
            self._container.mux(packets)
        except self._av.error.FFmpegError as error:
            if self._sound is None:
                raise
            self._sound.give_up(error)

    def _begin(self, picture: Picture) -> None:
        """Declare the streams once the frame size is known."""
        rate = Fraction(self._fps).limit_denominator(1001)
        self._stream = self._container.add_stream(self._encoder, rate=rate, options=self._encoder_options)
        self._stream.height, self._stream.width = _even(picture).shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._colours = usual_colours(self._stream.width, self._stream.height)
        self._colours.tag(self._stream.codec_context)
        self._stream.codec_context.time_base = _TIME_BASE
        if self._sound is not None:
            self._sound.declare()

    def _failed(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or error
        return f"cannot write {self._path}: {reason}; earlier frames are kept in the file"

    def close(self) -> None:
        """Flush the encoders and rename the file. Without any frame, there is no file."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._stream is not None:
                self._mux(self._stream.encode())
                if self._sound is not None:
                    self._sound.finish(self._last_pts * float(_TIME_BASE) + 1 / self._fps)
            self._container.close()
        except self._av.error.FFmpegError as error:
            raise MediaError(self._failed(error)) from error
        finally:
            if self._sound is not None:
                self._sound.close()
            self._put_in_place()

    def _put_in_place(self) -> None:
        try:
            if self._frames:
                self._draft.put()
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {self._draft.told(error).strerror}") from error
        finally:
            self._draft.discard()


def _framed(video: Any, width: int, height: int) -> Picture:
    """Scale a PyAV frame to fit another size, keeping its aspect ratio, with black borders."""
    scale = min(width / video.width, height / video.height)
    inner = [max(1, round(scale * side)) for side in (video.width, video.height)]
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    scaled = video.reformat(width=inner[0], height=inner[1]).to_ndarray(format="rgb24")
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas


def _even(picture: Picture) -> Picture:
    """Return an RGB or grey picture as RGB with even width and height."""
    rgb = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
    height, width = rgb.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(rgb)
    return np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
