"""limner colors black-and-white photographs and says how sure it is; and what each pixel shows.

    import limner
    limner.Painter("photo").colorize("in.jpg").save("out.jpg")
    limner.Segmenter("pets.onnx").segment("in.jpg").save_overlay("out.png")

The public names are imported when they are first used, so that `import limner` costs nothing.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.accounting.account import account
    from limner.paint.painter import Painter, Painting
    from limner.palette import Palette
    from limner.segment.segmenter import Segmenter

__version__ = "0.1.0"
__all__ = ["Painter", "Painting", "Palette", "Segmenter", "__version__", "account"]

# Nothing is uploaded: ONNX Runtime's packages for Linux and macOS report sessions to their makers
# and keep a number of the machine in the user's cache, unless told so before they are loaded (the
# second name is that of some releases). Whoever wants that sets the variables to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("ORT_TELEMETRY_DISABLED", "1")

_HOMES = {
    "Painter": "limner.paint.painter",
    "Painting": "limner.paint.painter",
    "Palette": "limner.palette",
    "Segmenter": "limner.segment.segmenter",
    "account": "limner.accounting.account",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'limner' has no attribute {name!r}")
