"""One photograph in two sets is found, whatever its size and encoding, and no other is."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.learn.loading.data import Pictures
from limner.learn.loading.repeated import repeated, thumbnails

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


def together(pictures: list[np.ndarray]) -> Pictures:
    """The pictures uint8 [H, W, 3] as a set."""
    sides = np.array([picture.shape[:2] for picture in pictures])
    starts = np.cumsum([0] + [picture.size for picture in pictures[:-1]])
    return Pictures(np.concatenate([picture.ravel() for picture in pictures]), sides, starts)


@pytest.fixture
def photographs() -> list[np.ndarray]:
    files = [path for path in sorted(SAMPLE.rglob("*")) if path.suffix in (".jpg", ".webp")]
    return [np.asarray(Image.open(path).convert("RGB")) for path in files]


def saved_anew(picture: np.ndarray, quality: int = 60, factor: float = 0.5) -> np.ndarray:
    image = Image.fromarray(picture)
    image = image.resize((round(image.width * factor), round(image.height * factor)))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


def test_the_same_photograph_is_found_and_no_other(photographs: list[np.ndarray]) -> None:
    assert len(photographs) >= 4
    ours, theirs = photographs[::2], photographs[1::2]
    again = [saved_anew(picture) for picture in theirs[:2]]
    found = repeated(together([*ours, *again]), [together(theirs[:1]), together(theirs[1:])])
    assert found.tolist() == [False] * len(ours) + [True] * len(again)


def test_a_picture_of_one_color_is_like_none(photographs: list[np.ndarray]) -> None:
    flat = np.full((40, 30, 3), 128, np.uint8)
    assert not repeated(together([flat]), [together([flat, *photographs])]).any()


def test_thumbnails_have_length_one(photographs: list[np.ndarray]) -> None:
    lengths = np.linalg.norm(thumbnails(together(photographs)), axis=1)
    assert lengths == pytest.approx(np.ones(len(photographs)))
