"""Open a source, or a sink, as the command line names it."""

from __future__ import annotations

import os
from pathlib import Path

from onepass._errors import MediaError
from onepass.media.camera import CameraSource
from onepass.media.folder import FolderSink, FolderSource, PictureSink, PictureSource
from onepass.media.frames import Sink, Source
from onepass.media.pages import Kind, PagesSource, kind_of
from onepass.media.pictures import PICTURE_SUFFIXES
from onepass.media.pipes import Pipe, is_pipe
from onepass.media.video import VideoSource, is_url
from onepass.media.video_sink import VIDEO_SUFFIXES, VideoSink

_CAMERA = "camera:"


def open_source(
    location: str | os.PathLike[str],
    *,
    fps: float | None = None,
    live: bool | None = None,
    reconnect_seconds: float = 0.0,
) -> Source:
    """Open a picture, a folder of pictures, a video, a camera, a stream or a pipe.

    Args:
        location: A path; ``-`` for standard input; ``camera:0``, or ``camera:`` and a path; or a URL. Files and pipes
            go by what is in them.
        fps: Frames a second to ask a camera for.
        live: Whether frames of a video, stream or pipe that come late are better left out; see `VideoSource`.
        reconnect_seconds: For how long to try to open a live stream again that broke off; see `VideoSource`.

    Raises:
        MediaError: There is nothing, or nothing that can be read; the message says what came.
        MissingExtraError: OpenCV or PyAV is not installed.
    """
    text = os.fspath(location)
    if text.startswith(_CAMERA):
        device = text.removeprefix(_CAMERA)
        return CameraSource(int(device) if device.isdecimal() else device or 0, fps=fps)
    if is_url(text):
        return VideoSource(text, live=live, reconnect_seconds=reconnect_seconds)
    if is_pipe(text):
        return _open_pipe(Pipe(text), live=live)
    path = Path(text)
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise MediaError(
            f"there is no file or folder {text!r} (in {Path.cwd()}); give a picture, a folder of pictures, a video, "
            "a camera as camera:0, a URL as rtsp://…, or - for standard input"
        )
    return _open_file(path, live=live)


def _open_file(path: Path, *, live: bool | None) -> Source:
    kind = kind_of(path)
    if kind is Kind.PICTURE:
        return PictureSource(path)
    if kind in {Kind.NO_PICTURE, Kind.JPEGS}:
        return VideoSource(path, live=live, container="mjpeg" if kind is Kind.JPEGS else None)
    return PagesSource(path, animated=kind is Kind.ANIMATION)


def _open_pipe(pipe: Pipe, *, live: bool | None) -> Source:
    try:
        data = pipe.picture()
        if data is None:
            return VideoSource(pipe, live=live)
    except BaseException:
        pipe.close()
        raise
    pipe.close()
    return PictureSource(pipe.name, data)


def open_sink(location: str | os.PathLike[str], source: Source, *, fps: float | None = None) -> Sink:
    """Open where pictures of a source go: a picture, a video, or, by a name without an ending, a folder.

    A video gets the sound of the source, if that is a video file.

    Args:
        location: The path to write.
        source: Where the pictures come from.
        fps: Frames a second of a video that is made of pictures without times; 30 by default.

    Raises:
        MediaError: The ending is unknown, the source would be overwritten, or it cannot be written there.
        MissingExtraError: PyAV is not installed.
    """
    path, origin = Path(location), Path(source.name)
    suffix = path.suffix.lower()
    if origin.exists() and path.resolve() == origin.resolve():
        raise MediaError(f"{path} is the source itself; write elsewhere")
    if isinstance(source, PictureSource) and path.is_dir() and (path / origin.name).resolve() == origin.resolve():
        raise MediaError(f"{path} is the folder that {origin.name} is in, which would be overwritten; write elsewhere")
    if suffix in VIDEO_SUFFIXES:
        if isinstance(source, VideoSource) and source.can_be_opened_again:
            return VideoSink(path, fps=source.fps or fps, sound_of=source.name, joints=source.joints)
        if isinstance(source, VideoSource):
            source.notes.append(f"the sound of {source.name}, if it has any, is left out: it can be read only once")
        return VideoSink(path, fps=source.fps or fps)
    if suffix in PICTURE_SUFFIXES:
        if source.sequence or (source.frame_count or 0) > 1:
            raise MediaError(
                f"{path} can hold one picture only; give a folder or a video ({', '.join(VIDEO_SUFFIXES)})"
            )
        return PictureSink(path)
    if suffix and not path.is_dir():
        known = ", ".join((*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))
        raise MediaError(f"cannot write {path}: its ending is none of {known}, and a name without one means a folder")
    return FolderSink(path)
