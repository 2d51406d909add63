"""The models and palettes that come with limner, by name: NAME.onnx and NAME.json beside this file.

Their terms stand in the models' cards and in LICENSE.
"""

import os
from pathlib import Path

from limner.errors import ModelError, PaletteError
from limner.palette import Palette

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of the embedded models, sorted."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.onnx")))


def path(name_or_path: Path | str) -> Path:
    """The file of an embedded model's name, or else of a path. Raises ModelError for neither."""
    if str(name_or_path) in names():
        return FOLDER / f"{name_or_path}.onnx"
    if not os.path.isfile(name_or_path):
        raise ModelError(
            f"{name_or_path}: neither a model's file nor a model's name; "
            f"limner brings {', '.join(names()) or 'none'}"
        )
    return Path(name_or_path)


def palette(name: str) -> Palette:
    """The embedded palette of that name. Raises PaletteError that lists the names."""
    known = sorted(file.stem for file in FOLDER.glob("*.json"))
    if name not in known:
        raise PaletteError(
            f"palette {name!r} is not known; limner brings {', '.join(known) or 'none'}, "
            "others are .json files"
        )
    return Palette.load(FOLDER / f"{name}.json")
