"""Pictures in and out."""

from onepass.media.pictures import PICTURE_SUFFIXES, read_picture, write_picture

__all__ = ["PICTURE_SUFFIXES", "read_picture", "write_picture"]
