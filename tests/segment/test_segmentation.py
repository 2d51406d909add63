"""The mask at full size is what all classes' probabilities say, though few of them are blended."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from limner.errors import PictureError
from limner.masks.labels import VOC_BORDER, voc_colors, voc_labels
from limner.paint import strips
from limner.paint.join import light_of
from limner.paint.upsample import Upsampler
from limner.palette import Palette
from limner.picture import from_array, open_picture
from limner.segment.segmentation import Segmentation

Make = Callable[..., str]  # the fixture `segmenting`


def named(K: int) -> Palette:
    return Palette("rgb", voc_colors(K), voc_labels().names[:K])


def scene(
    size: tuple[int, int],
    cells: tuple[int, int],
    K: int,
    seed: int,
    block: int = 1,
    beyond: float = 0,
    sure: float = 4,
) -> Segmentation:
    """A noisy photograph; cells in blocks that mostly agree, the last ones reaching `beyond` it."""
    random = np.random.default_rng(seed)
    h, w = cells
    classes = random.integers(0, K, (-(-h // block), -(-w // block)))
    likely = np.kron(classes, np.ones((block, block), int))[:h, :w]
    logits = random.normal(0, 1, (h, w, K)) + sure * np.eye(K)[likely]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return Segmentation(
        picture=from_array(random.integers(0, 256, size, np.uint8)),
        labels=named(K),
        probabilities=probabilities.astype(np.float32),
        guide=random.uniform(0, 100, cells).astype(np.float32),
        cells_across=w - beyond,
        cells_down=h - beyond,
        certainty=0.5,
        own=probabilities.astype(np.float32),
    )


def by_all_classes(found: Segmentation) -> np.ndarray:
    """The slow way: every class at every pixel, then the largest."""
    across, down = found.cells_across / found.width, found.cells_down / found.height
    upsampler = Upsampler(found.probabilities, found.guide, found.width, across, down)
    planes = np.stack(upsampler.rows(0, light_of(found.picture.array())))
    return np.asarray(planes.argmax(axis=0))


@given(
    seed=st.integers(0, 10**6),
    K=st.sampled_from([1, 2, 3, 21]),
    cells=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    scale=st.integers(1, 6),
    block=st.integers(1, 4),
)
def test_the_sparse_way_is_exact(
    seed: int, K: int, cells: tuple[int, int], scale: int, block: int
) -> None:
    size = (cells[0] * scale, cells[1] * scale)
    found = scene(size, cells, K, seed, block, beyond=0.3 if scale > 2 else 0)
    assert np.array_equal(found.mask, by_all_classes(found))


def test_a_class_that_no_cell_prefers_can_win_between_them() -> None:
    # Each side is sure of its own and gives the middle nearly as much; the mean prefers the middle.
    cells = np.array([[[0.51, 0.49, 0.0], [0.0, 0.49, 0.51]]], np.float32)
    grey = np.full((8, 16), 119, np.uint8)
    flat = light_of(grey)[:1, :2]
    found = Segmentation(from_array(grey), named(3), cells, flat, 2, 1, 0.5, cells.max(axis=-1))
    assert np.array_equal(found.mask, by_all_classes(found))
    assert set(np.unique(found.mask)) == {0, 1, 2}


def test_of_equally_probable_classes_the_first_wins_between_cells_too() -> None:
    found = scene((64, 64), (4, 4), 3, seed=11)
    found.probabilities[:, ::2] = [0.4, 0.4, 0.2]
    found.probabilities[:, 1::2] = [0.2, 0.2, 0.6]
    assert set(np.unique(found.mask)) == {0, 2}


def test_equal_cells_give_their_class_exactly() -> None:
    found = scene((40, 60), (4, 6), 5, seed=1)
    found.probabilities[:] = [0.1, 0.3, 0.3, 0.2, 0.1]  # the first of equal ones, as argmax says
    assert (found.mask == 1).all()


def test_only_pixels_between_cells_that_differ_are_blended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = scene((256, 256), (16, 16), 21, seed=2, block=8, sure=9)
    blended: list[tuple[int, int]] = []
    real = Upsampler.blend

    def count(self: Upsampler, band: Any, light: np.ndarray, planes: Any, *rest: Any) -> None:
        blended.append((light.size, len(planes)))
        real(self, band, light, planes, *rest)

    monkeypatch.setattr(Upsampler, "blend", count)
    assert found.mask.shape == (256, 256)
    likeliest = found.probabilities.argmax(axis=-1)
    between = 0
    for y, x in np.ndindex(256, 256):
        row, column = (min(max((i + 0.5) / 16 - 0.5, 0), 15) for i in (y, x))
        top, left = math.floor(row), math.floor(column)
        around = likeliest[top : top + 2, left : left + 2]
        between += len(np.unique(around)) > 1
    assert sum(pixels for pixels, _ in blended) == between
    assert 0 < between < 256 * 256 / 5
    # A class that no cell beside gives 1 / K cannot win, and has no plane: four blocks are here.
    assert max(planes for _, planes in blended) <= 4


def test_where_all_cells_agree_nothing_is_blended(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scene((64, 64), (4, 4), 3, seed=3, block=4, sure=9)
    monkeypatch.setattr(Upsampler, "blend", lambda *_: pytest.fail("blended"))
    likeliest = found.probabilities.argmax(axis=-1)
    assert (likeliest == likeliest[0, 0]).all()
    assert (found.mask == likeliest[0, 0]).all()


def test_strips_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def mask() -> np.ndarray:
        return scene((700, 300), (35, 15), 7, seed=4, block=3).mask

    many = mask()
    monkeypatch.setattr(strips, "MOST_THREADS", 1)
    assert np.array_equal(mask(), many)
    for rows in (1, 37, 700):
        monkeypatch.setattr("limner.picture.reading.strip_rows", lambda width, rows=rows: rows)
        assert np.array_equal(mask(), many)


def test_the_mask_is_made_once_and_when_it_is_asked_for() -> None:
    found = scene((20, 20), (5, 5), 3, seed=5)
    assert "mask" not in vars(found)
    assert found.mask is found.mask


def test_shares_of_the_classes_the_largest_first() -> None:
    found = scene((10, 10), (10, 10), 4, seed=6)
    found.probabilities[:] = np.eye(4)[2]
    found.probabilities[:2] = np.eye(4)[0]
    found.probabilities[2, :5] = np.eye(4)[3]
    assert found.classes == {"bicycle": 0.75, "background": 0.2, "bird": 0.05}
    assert list(found.classes) == ["bicycle", "background", "bird"]


def test_the_mask_is_an_indexed_png_in_vocs_colors(tmp_path: Path) -> None:
    found = scene((33, 47), (11, 16), 21, seed=7)
    found.save_mask(tmp_path / "a.mask.png")
    with Image.open(tmp_path / "a.mask.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", (47, 33))
        assert np.array_equal(np.asarray(image), found.mask)
        table = np.array(image.getpalette()).reshape(-1, 3)
    # The kit's table, from its first rows and from its last class.
    assert table[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert table[20].tolist() == [0, 64, 128]
    assert tuple(table[255]) == VOC_BORDER
    with pytest.raises(PictureError, match="exists already"):
        found.save_mask(tmp_path / "a.mask.png")
    found.save_mask(str(tmp_path / "a.mask.png"), overwrite=True)
    assert os.listdir(tmp_path) == ["a.mask.png"]


def test_the_overlay_is_the_photograph_with_a_legend_below(tmp_path: Path) -> None:
    found = scene((500, 300), (25, 15), 3, seed=8, block=5)
    found.save_overlay(tmp_path / "a.overlay.png")
    with Image.open(tmp_path / "a.overlay.png") as image:
        assert (image.format, image.mode, image.width) == ("PNG", "RGB", 300)
        pixels = np.asarray(image).astype(int)
    photo = found.picture.array()[..., None].repeat(3, axis=-1).astype(int)
    assert len(pixels) > 500
    assert set(np.unique(found.mask)) == {0, 1, 2}
    for number, color in enumerate(named(3).swatches().astype(int)):
        there = found.mask == number
        expected = photo[there] if number == 0 else (photo[there] + color) / 2
        assert np.abs(pixels[:500][there] - expected).max() <= 0.5
    below = {tuple(color) for color in pixels[500:].reshape(-1, 3)}
    assert {tuple(color) for color in named(3).swatches().astype(int)} < below
    with pytest.raises(PictureError, match="exists already"):
        found.save_overlay(tmp_path / "a.overlay.png")
    found.save_overlay(str(tmp_path / "a.overlay.png"), overwrite=True)
    assert os.listdir(tmp_path) == ["a.overlay.png"]


def test_a_narrow_overlay_stands_beside_white(tmp_path: Path) -> None:
    found = scene((50, 20), (5, 2), 2, seed=9)
    found.save_overlay(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape[1] > 20
    assert (pixels[:50, 20:] == 255).all()
    assert not (pixels[:50, :20] == 255).all()


def test_a_photograph_cut_short_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in.jpg"
    whole = scene((700, 400), (7, 4), 3, seed=10)
    Image.fromarray(whole.picture.array()).save(path)
    picture = open_picture(path)
    path.write_bytes(path.read_bytes()[:60_000])  # after the network has seen it
    found = Segmentation(
        picture, whole.labels, whole.probabilities, whole.guide, 4, 7, whole.certainty, whole.own
    )
    for save, name in ((found.save_overlay, "o.png"), (found.save_mask, "m.png")):
        with pytest.raises(PictureError, match=r"in\.jpg: cut short"):
            save(tmp_path / name)
    assert os.listdir(tmp_path) == ["in.jpg"]
