"""Read pictures, folders, videos, cameras and streams; write pictures, folders, videos and windows.

OpenCV and PyAV come with the extra ``gaze``, and are imported on first use.
"""

from onepass.media.camera import CameraSource
from onepass.media.folder import FolderSink, FolderSource, PictureSink, PictureSource
from onepass.media.frames import Frame, Sink, Source
from onepass.media.opening import open_sink, open_source
from onepass.media.pages import PagesSource
from onepass.media.pictures import PICTURE_SUFFIXES, Picture, check_picture, read_picture, write_picture
from onepass.media.video import VideoSource
from onepass.media.video_sink import VIDEO_SUFFIXES, VideoSink
from onepass.media.window import Window

__all__ = [
    "PICTURE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "CameraSource",
    "FolderSink",
    "FolderSource",
    "Frame",
    "PagesSource",
    "Picture",
    "PictureSink",
    "PictureSource",
    "Sink",
    "Source",
    "VideoSink",
    "VideoSource",
    "Window",
    "check_picture",
    "open_sink",
    "open_source",
    "read_picture",
    "write_picture",
]
