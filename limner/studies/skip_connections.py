"""A2, B3: does the UNet beat the CNN, by how much, and which of its three skips does it?"""

from dataclasses import replace
from itertools import combinations

from limner.networks.unet import SKIPS
from limner.recipe import Recipe
from limner.studies.study import Arms, Setting, seeded

WIDE = 37  # NF at which the CNN has about as many parameters as the UNet


def search(cnn: Recipe) -> dict[str, Recipe]:
    """Settings that might give the write-up's CNN, whose loss was 1.83 and accuracy 33 %."""
    return {
        "cnn, NF 16": replace(cnn, NF=16),
        "cnn, NF 8": replace(cnn, NF=8),
        "cnn, k 1": replace(cnn, k=1),
        "cnn, rate 1e-4": replace(cnn, learning_rate=1e-4),
        "cnn, rate 1e-2": replace(cnn, learning_rate=1e-2),
        "cnn, input 0..255": replace(cnn, scale=255.0),
    }


def subsets() -> list[str]:
    """The six subsets of the skips that are neither none nor all."""
    return [",".join(names) for size in (1, 2) for names in combinations(SKIPS, size)]


def plan(setting: Setting) -> Arms:
    many, few = (2, 1) if setting.quick else (5, 3)
    unet = setting.base
    cnn = replace(unet, name="cnn", network="cnn")
    arms = {
        "unet": seeded(unet, many),
        "cnn": seeded(cnn, many),
        "wide cnn": seeded(replace(cnn, NF=WIDE), many),
    }
    for skips in subsets():
        arms[f"skips {skips}"] = seeded(replace(unet, skips=skips), few)
    if not setting.quick:
        arms |= {name: seeded(recipe, 1) for name, recipe in search(cnn).items()}
    return arms
