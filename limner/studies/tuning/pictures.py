"""The write-up's figure 4: pictures, their truth, what a model says, and where it is wrong."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from limner.masks.check import check_sides
from limner.masks.labels import IGNORED
from limner.masks.png import read_mask
from limner.masks.sets import find_labelled
from limner.picture import read_rgb
from limner.segment.overlay import overlaid
from limner.segment.segmenter import Segmenter

SPLITS = ("train", "val")
SHOWN = 4  # pictures of each split, at most
COLUMNS = ("picture", "truth", "said", "where wrong")
WRONG = np.array([[0, 0, 0], [220, 20, 20]], np.uint8)  # right stays as it is, wrong is red


def picture_figure(base: Path, data: str) -> Figure:
    """Rows of pictures of both splits, spread evenly over each. Raises DataError for a mask that is
    not its picture's."""
    rows = []
    segmenter = Segmenter(base)
    for split in SPLITS:
        found = find_labelled(data, split)
        for index in np.unique(np.linspace(0, len(found) - 1, SHOWN).astype(int)):
            path, mask = found.pictures.files[index], found.masks[index]
            rgb, truth = read_rgb(path), read_mask(mask, found.labels)
            check_sides(mask, truth, *rgb.shape[:2])
            rows.append((split, rgb, truth, segmenter.segment(path).mask))
    colors = segmenter.model.card.palette.swatches()
    figure = Figure(figsize=(2.4 * len(COLUMNS), 1.9 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(COLUMNS), squeeze=False)
    for line, (split, rgb, truth, said) in zip(axes, rows, strict=True):
        shown = (
            rgb,
            painted(rgb, truth, colors),
            painted(rgb, said, colors),
            wrong(rgb, truth, said),
        )
        for place, name, picture in zip(line, COLUMNS, shown, strict=True):
            place.imshow(picture)
            place.set_axis_off()
            place.set_title(f"{split}: {name}", fontsize=8)
    return figure


def painted(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], colors: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The picture under its classes' colors; where nothing is said it stays as it is."""
    known = np.where(mask == IGNORED, 0, mask).astype(np.uint8)
    return np.where((mask == IGNORED)[..., None], rgb, overlaid(rgb, known, colors))


def wrong(
    rgb: NDArray[np.uint8], truth: NDArray[np.uint8], said: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The picture, red where what was said is not the truth; ignored pixels count as right."""
    return overlaid(rgb, ((truth != said) & (truth != IGNORED)).astype(np.uint8), WRONG)
