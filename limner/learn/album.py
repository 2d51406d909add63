"""A person's photographs, made small before they are kept: crops are smaller still, and hundreds of
photographs of 12 megapixels would take gigabytes."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.dataset import Dataset
from limner.errors import DataError
from limner.learn.loading.data import Pictures, load, photograph, starts, upright
from limner.learn.metrics import Report

TOLD = 10  # photographs between two words on how far it is


def read(
    found: Dataset, name: str, short: int, folder: Path, report: Report | None
) -> tuple[Dataset, Pictures]:
    """Those of the photographs that can be read, and their pixels, at most `short` on their short
    side, kept in a file in `folder`.

    One that cannot be read is left out, which the record {"left_out": line} tells. What they take
    is told before it is taken. Raises DataError where there is no room.
    """
    if found.images is not None:
        return found, load(found)
    tell = report and partial(report, 0, len(found))
    files: list[Path] = []
    needed = 0
    for path in found.files:
        try:
            with photograph(path) as image:
                width, height = reduced(image.size, short)
        except DataError as error:
            if tell:
                tell({"left_out": str(error)})
        else:
            files.append(path)
            needed += 3 * width * height
    free = shutil.disk_usage(folder).free
    if tell:
        tell({"decoding": name, "caching": str(folder), "bytes": needed})
    if needed > free:
        raise no_room(folder, f"{needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free")
    chosen, sides = [], []
    pixels = folder / "photographs"
    try:
        with pixels.open("wb") as file:
            for done, path in enumerate(files, 1):
                try:
                    picture = small(path, short)
                except DataError as error:
                    if tell:
                        tell({"left_out": str(error)})
                else:
                    chosen.append(path)
                    sides.append(picture.shape[:2])
                    file.write(picture.tobytes())
                if report and (done % TOLD == 0 or done == len(files)):
                    report(done, len(files), {"decoding": name})
    except OSError as error:
        raise no_room(folder, str(error.strerror)) from error
    measured = np.array(sides, np.int64).reshape(-1, 2)
    kept = np.memmap(pixels, np.uint8, "r") if sides else np.zeros(0, np.uint8)
    return replace(found, files=tuple(chosen)), Pictures(kept, measured, starts(measured, 3))


def no_room(folder: Path, why: str) -> DataError:
    return DataError(
        f"{folder}: the photographs cannot be kept ({why}); make room, or set XDG_CACHE_HOME to "
        "another folder"
    )


def reduced(sides: tuple[int, int], short: int) -> tuple[int, int]:
    """Sides in that ratio, of which the shorter is at most `short`."""
    factor = min(1.0, short / min(sides))
    return round(sides[0] * factor), round(sides[1] * factor)


def small(path: Path, short: int) -> NDArray[np.uint8]:
    """A photograph, upright, its short side at most `short`: uint8 [H, W, 3]. Raises DataError."""
    with photograph(path) as image:
        # A JPEG is decoded at a half, a quarter or an eighth of its sides, no smaller than this.
        image.draft(None, reduced(image.size, short))
        picture = upright(image)
        return np.asarray(picture.resize(reduced(picture.size, short), Image.Resampling.BILINEAR))
