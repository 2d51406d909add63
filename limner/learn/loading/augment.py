"""Augmentation: geometry changes the picture, tone changes the network's input alone."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.recipe import Recipe

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


def crop(
    picture: NDArray[np.uint8], recipe: Recipe, random: np.random.Generator
) -> NDArray[np.uint8]:
    """A random square of the picture, as `place` draws it: uint8 [size, size, 3]."""
    box, mirrored = place(picture, recipe, random)
    square = resize(picture, box, recipe.size)
    return square[:, ::-1] if mirrored else square


def place(
    picture: NDArray[np.uint8], recipe: Recipe, random: np.random.Generator
) -> tuple[Box, bool]:
    """A random square of a picture [H, W, ...], and whether it is mirrored.

    Its side is drawn from zoom..1 of the picture's short side, its place evenly; with `flip`,
    half are mirrored. The same four numbers are drawn whatever the recipe, so that one setting
    does not change the others' draws.
    """
    height, width = picture.shape[:2]
    scale, down, right, mirror = random.random(4)
    side = min(height, width) * (recipe.zoom + (1 - recipe.zoom) * scale)
    top, left = (height - side) * down, (width - side) * right
    return (left, top, left + side, top + side), bool(recipe.flip and mirror < 0.5)


def middle(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The largest square in the middle of the picture, brought to `size`: for validation."""
    return resize(picture, middle_box(picture), size)


def middle_box(picture: NDArray[np.uint8]) -> Box:
    """The largest square in the middle of a picture [H, W, ...]."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) / 2, (width - side) / 2
    return left, top, left + side, top + side


def resize(picture: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
    """The box of the picture as a square of `size` pixels, smoothed."""
    image = Image.fromarray(picture)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))


def resize_mask(mask: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
    """The box of a mask [H, W] as a square of `size` pixels, each the nearest one's class."""
    image = Image.fromarray(mask)
    return np.asarray(image.resize((size, size), Image.Resampling.NEAREST, box))


def tone(
    light: NDArray[np.float32], strength: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Age the inputs' tones: light [N, C, H, W] in 0..1 -> the same, by a curve for each picture.

    A gamma in exp(+-strength), then black and white points moved by up to strength / 3: faded,
    dark and hard prints. The colors to be learned stay as they are.
    """
    n = len(light)
    gamma = np.exp(strength * random.uniform(-1, 1, n)).astype(np.float32)
    black = (strength / 3 * random.uniform(-1, 1, n)).astype(np.float32)
    white = (1 + strength / 3 * random.uniform(-1, 1, n)).astype(np.float32)
    if strength == 0:
        return light
    shape = (n, 1, 1, 1)
    curved = np.power(light, gamma.reshape(shape))
    aged = black.reshape(shape) + (white - black).reshape(shape) * curved
    return np.clip(aged, 0, 1)


def affine(light: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """What the recipe's network sees of the light: scale * light + shift, any shape."""
    return light * np.float32(recipe.scale) + np.float32(recipe.shift)
