"""Open sources and sinks by the names that the command line accepts."""

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
        location: A path; ``-`` for standard input; ``camera:0``, or ``camera:`` and a path; or a URL. The content of
            files and pipes determines their format.
        fps: Frames per second to request from a camera.
        live: Whether to drop late frames of a video, stream or pipe; see `VideoSource`.
        reconnect_seconds: How long to try to reconnect to an interrupted live stream; see `VideoSource`.

    Raises:
        MediaError: The source does not exist or cannot be read; the message says what was found.
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
            f"file or folder {text!r} not found (in {Path.cwd()}); expected a picture, a folder of pictures, a video, "
            "a camera such as camera:0, a URL such as rtsp://…, or - for standard input"
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
    """Open the output for a source's pictures: a picture, a video or, for a name without a suffix, a folder.

    A video keeps the sound of the source, if the source is a video file.

    Args:
        location: The path to write.
        source: The source of the pictures.
        fps: Frames per second of a video made of pictures without times; by default 30.

    Raises:
        MediaError: The suffix is unknown, the source would be overwritten, or the path is not writable.
        MissingExtraError: PyAV is not installed.
    """
    path, origin = Path(location), Path(source.name)
    suffix = path.suffix.lower()
    if origin.exists() and path.resolve() == origin.resolve():
        raise MediaError(f"{path} is the source itself; choose another output")
    if isinstance(source, PictureSource) and path.is_dir() and (path / origin.name).resolve() == origin.resolve():
        raise MediaError(
            f"writing to the folder {path} would overwrite the source {origin.name}; choose another folder"
        )
    if suffix in VIDEO_SUFFIXES:
        if isinstance(source, VideoSource) and source.can_be_opened_again:
            return VideoSink(path, fps=source.fps or fps, sound_of=source.name, joints=source.joints)
        if isinstance(source, VideoSource):
            source.notes.append(f"{source.name} can be read only once, so its sound, if any, is omitted")
        return VideoSink(path, fps=source.fps or fps)
    if suffix in PICTURE_SUFFIXES:
        if source.sequence or (source.frame_count or 0) > 1:
            raise MediaError(f"{path} can hold only one picture; use a folder or a video ({', '.join(VIDEO_SUFFIXES)})")
        return PictureSink(path)
    if suffix and not path.is_dir():
        known = ", ".join((*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))
        raise MediaError(f"cannot write {path}: unknown suffix; use one of {known}, or no suffix for a folder")
    return FolderSink(path)
