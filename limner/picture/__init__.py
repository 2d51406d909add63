"""Pictures in and out through libvips: 8-bit grey and RGB JPEG, PNG, TIFF and WebP.

Pictures come in upright (EXIF orientation applied), in strips of rows, and go out the same way, so
that memory does not grow with the picture. Every other kind of picture is refused by name, never
silently reduced. Grey levels and colors are read as sRGB; an embedded ICC profile is not applied.
"""

import logging

import pyvips

from limner.picture.formats import FORMATS, Pixels, format_of
from limner.picture.reading import PIXEL_LIMIT, Picture, from_array, open_picture, read_rgb
from limner.picture.writing import write_strips

__all__ = [
    "FORMATS",
    "PIXEL_LIMIT",
    "Picture",
    "Pixels",
    "format_of",
    "from_array",
    "open_picture",
    "read_rgb",
    "write_strips",
]

# libvips logs a warning for every oddity of a file (an unknown TIFF tag): no person's concern.
logging.getLogger("pyvips").addHandler(logging.NullHandler())
# libvips keeps what it last computed, and with it the decoders; each picture is computed once here.
pyvips.cache_set_max(0)
