"""How many colors should there be, and in RGB or in ab?"""

from dataclasses import replace
from pathlib import Path

from limner.color import rgb8_to_lab
from limner.dataset import find
from limner.learn.data import sample_pixels
from limner.palette import Palette, Space
from limner.studies.study import Arms, Setting, seeded

RGB = (8, 16, 24, 48, 96)
AB = (24, 48)
PIXELS = 200_000  # from which a palette is learned
SEED = 0


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    arms: Arms = {}
    kinds: list[tuple[Space, int]] = [("rgb", K) for K in RGB]
    kinds += [("ab", K) for K in AB]
    for space, K in kinds:
        known = space == "rgb" and K == 24 and setting.data in ("cifar10", "cifar10:horse")
        file = "horse24" if known else str(learned(setting, space, K))
        arms[f"{space}, {K}"] = seeded(replace(setting.base, palette=file), seeds)
    return arms


def learned(setting: Setting, space: Space, K: int) -> Path:
    """The file of a palette learned from the training pictures; made if it is missing."""
    file = setting.folder / "palettes" / f"{space}{K}.json"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = sample_pixels(find(setting.data, "train"), PIXELS, SEED)
        values = pixels if space == "rgb" else rgb8_to_lab(pixels)[..., 1:]
        Palette.learn(values, K, space, SEED).save(file)
    return file
