"""Pictures in and out."""

from onepass.media.pictures import PICTURE_SUFFIXES, Picture, check_picture, read_picture, write_picture

__all__ = ["PICTURE_SUFFIXES", "Picture", "check_picture", "read_picture", "write_picture"]
