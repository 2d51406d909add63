"""Labels: a palette with names, from PASCAL VOC or from a `classes.txt`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.errors import DataError, PaletteError
from limner.palette import Palette

IGNORED = 255  # of a mask: no class is said, nothing is learned or scored there
MOST = 255  # classes that fit beside it into a byte
CLASSES = "classes.txt"
BACKGROUND = "background"
VOC_NAMES = (
    BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
VOC_BORDER = (224, 224, 192)  # the color of VOC's ignored borders


def voc_colors(count: int) -> NDArray[np.float32]:
    """PASCAL VOC's color map: float32 [count, 3], 0..255.

    The bits of a class's number, three at a time, become the high bits of red, green and blue
    (the VOC development kit's VOCcolormap).
    """
    numbers = np.arange(count)
    colors = np.zeros((count, 3), np.int64)
    for place in range(8):
        for channel in range(3):
            colors[:, channel] |= (numbers >> (3 * place + channel) & 1) << (7 - place)
    return colors.astype(np.float32)


def voc_labels() -> Palette:
    """PASCAL VOC's 21 classes in their colors, the background first."""
    return Palette("rgb", voc_colors(len(VOC_NAMES)), VOC_NAMES)


def read_classes(path: Path) -> Palette:
    """The labels of a `classes.txt`: a line `name` or `name red green blue` (0..255) a class.

    Either every line gives a color, or VOC's color map does. Empty lines and lines that begin with
    # are passed over. Raises DataError that names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); write a line for each class there, "
            "`name` or `name red green blue`"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no text in UTF-8; save it as UTF-8") from error
    names, colors = [], []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        numbers = words[-3:] if len(words) > 3 and all(w.isdecimal() for w in words[-3:]) else []
        if any(int(value) > 255 for value in numbers):
            raise DataError(f"{path}, line {number}: {line.strip()!r}; a color is three of 0..255")
        names.append(" ".join(words[: len(words) - len(numbers)]))
        colors.append([int(value) for value in numbers])
    given = [color for color in colors if color]
    if given and len(given) < len(colors):
        bare = names[colors.index([])]
        raise DataError(f"{path}: {bare!r} has no color and others do; give all one, or none")
    if not 1 <= len(names) <= MOST:
        raise DataError(f"{path}: {len(names)} classes; name 1 to {MOST}, a line each")
    table = np.array(given, np.float32) if given else voc_colors(len(names))
    try:
        return Palette("rgb", table, tuple(names))
    except PaletteError as error:
        raise DataError(f"{path}: {error}") from error


def classes_text(labels: Palette) -> str:
    """The labels as a `classes.txt`, which `read_classes` reads."""
    pairs = zip(labels.names, labels.swatches().tolist(), strict=True)
    return "".join(f"{name} {red} {green} {blue}\n" for name, (red, green, blue) in pairs)


def foreground(labels: Palette, names: tuple[str, ...]) -> tuple[Palette, NDArray[np.uint8]]:
    """Labels where `names` are one class and all others are background, and the table uint8 [256]
    that brings the masks' numbers to theirs. Without names nothing changes, and no number where the
    labels are these two already: those of a model that was trained so.

    Raises DataError for a name that is no label's, and for the background's.
    """
    table = np.arange(256, dtype=np.uint8)
    if not names:
        return labels, table
    if BACKGROUND in names:
        raise DataError(f"foreground: {BACKGROUND!r} is all that is not named; name other classes")
    both = (BACKGROUND, "+".join(names))
    if labels.names != both:
        for name in names:
            if name not in labels.names:
                raise DataError(
                    f"foreground: no class {name!r}; the classes are {', '.join(labels.names)}"
                )
        table[:IGNORED] = 0
        table[[labels.names.index(name) for name in names]] = 1
    return Palette("rgb", voc_colors(2), both), table
