"""Pictures with all that their files say: own colours, 16 bits, EXIF, XMP, resolution."""

from figureground.pictures.metadata import Metadata
from figureground.pictures.picture import Picture, encode_picture, holds_16_bits, read_picture, write_picture

__all__ = ["Metadata", "Picture", "encode_picture", "holds_16_bits", "read_picture", "write_picture"]
