"""Small sets of pictures with masks, in every layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike
from PIL import Image

WriteMask = Callable[[Path, ArrayLike], Path]
WritePicture = Callable[..., Path]


@pytest.fixture
def write_picture() -> WritePicture:
    """Write a small picture of one color, 4 x 3 pixels: `write_picture(path, mode="RGB")`."""

    def write(path: Path, mode: str = "RGB", width: int = 4, height: int = 3) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (width, height)).save(path)
        return path

    return write


@pytest.fixture
def write_numbers() -> WriteMask:
    """Write a grey PNG of class numbers: one number fills 4 x 3 pixels."""

    def write(path: Path, numbers: ArrayLike) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.asarray(numbers, np.uint8)
        Image.fromarray(np.ascontiguousarray(mask if mask.ndim else np.full((3, 4), mask))).save(
            path
        )
        return path

    return write


@pytest.fixture
def kit(write_picture: WritePicture, write_numbers: WriteMask) -> Callable[[Path], Path]:
    """A VOC development kit as torchvision lays it out under a root: two pictures in train, one in
    val, and one that is in no list. The lists are not sorted."""

    def write(root: Path, year: str = "2012") -> Path:
        voc = root / "VOCdevkit" / f"VOC{year}"
        for number, name in enumerate(("2007_000063", "2007_000032", "2008_000001", "2009_000007")):
            write_picture(voc / "JPEGImages" / f"{name}.jpg")
            write_numbers(voc / "SegmentationClass" / f"{name}.png", number)
        lists = voc / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text("2007_000063\n2007_000032\n")
        (lists / "val.txt").write_text("2008_000001\n")
        return root

    return write
