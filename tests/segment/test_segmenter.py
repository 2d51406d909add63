"""One photograph in, one segmentation out: what the network sees, and which models may answer."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.card import Card
from limner.errors import ModelError, PictureError
from limner.masks.labels import IGNORED
from limner.paint.join import light_of
from limner.palette import Palette
from limner.segment.segmentation import Segmentation
from limner.segment.segmenter import Segmenter

Make = Callable[..., str]  # the fixture `segmenting`
BLOCKS = np.array([[0, 1, 1], [2, 3, 0]], np.uint8).repeat(16, axis=0).repeat(16, axis=1)


class Listener:
    """A model that keeps what it has seen, and says the same of every cell."""

    def __init__(self, palette: Palette, logits: list[float], **changes: Any) -> None:
        card: dict[str, Any] = {
            "name": "listener", "task": "segment", "network": {}, "input": "rgb",
            "working_size": 40, "stride": 4, "multiple": 16, "palette": palette,
        }  # fmt: skip
        self.card = Card(**{**card, **changes})
        self.logits = np.array(logits, np.float32)
        self.seen: list[np.ndarray] = []

    def run(self, x: np.ndarray) -> np.ndarray:
        self.seen.append(x)
        cells = np.zeros((x.shape[2] // 4, x.shape[3] // 4), np.float32)
        return (self.logits[:, None, None] + cells)[None]


def listened(photo: np.ndarray, *given: Any, **changes: Any) -> tuple[Segmentation, np.ndarray]:
    """The segmentation by a Listener, and what that saw."""
    model: Any = Listener(*given, **changes)
    found = Segmenter(model).segment(photo)
    (seen,) = model.seen
    return found, seen


def test_a_picture_in_the_classes_colors_tells_its_mask(segmenting: Make, labels: Palette) -> None:
    found = Segmenter(segmenting()).segment(labels.swatches()[BLOCKS])
    assert (found.width, found.height) == (48, 32)
    assert found.labels == labels
    assert found.mask.dtype == np.uint8
    assert np.array_equal(found.mask, BLOCKS)


def test_a_large_picture_is_seen_small_and_answered_at_its_own_size(
    segmenting: Make, labels: Palette
) -> None:
    large = BLOCKS.repeat(10, axis=0).repeat(10, axis=1)
    found = Segmenter(segmenting()).segment(labels.swatches()[large])
    assert found.probabilities.shape == (16, 24, 4)  # 64 x 96 in cells of 4
    assert (found.mask == large).mean() > 0.97  # cells beside an edge of the blocks are mixed
    inside = np.s_[24:136, 24:136]
    assert np.array_equal(found.mask[inside], large[inside])


def test_probabilities_are_a_softmax_over_the_cells(segmenting: Make, labels: Palette) -> None:
    found = Segmenter(segmenting()).segment(labels.swatches()[BLOCKS])
    assert found.probabilities.shape == (8, 12, 4)
    np.testing.assert_allclose(found.probabilities.sum(axis=-1), 1, rtol=1e-5)
    colors = labels.colors / 255
    logits = -50 * ((colors[1] - colors) ** 2).sum(axis=1)  # of a cell in the color of class 1
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(found.probabilities[0, 5], expected, rtol=1e-3)


def test_the_network_sees_srgb_at_the_working_size_padded_by_its_edge(labels: Palette) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    _, x = listened(photo, labels, [1, 0, 0, 0])
    assert x.shape == (1, 3, 48, 64)  # brought to multiples of 16
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, :, :40, :56], photo.transpose(2, 0, 1) / 255, rtol=1e-6)
    assert (x[0, :, 40:] == x[0, :, 39:40]).all()
    assert (x[0, :, :, 56:] == x[0, :, :, 55:56]).all()
    _, x = listened(photo.repeat(5, axis=0).repeat(5, axis=1), labels, [1, 0, 0, 0])
    assert x.shape == (1, 3, 48, 64)


def test_cells_measure_the_picture_and_may_reach_beyond_it(labels: Palette) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (38, 50), np.uint8)
    found, _ = listened(photo, labels, [1, 0, 0, 0])
    assert (found.cells_across, found.cells_down) == (12.5, 9.5)
    assert found.probabilities.shape == (10, 13, 4)
    light = light_of(photo)
    assert found.guide.shape == (10, 13)
    assert found.guide[2, 3] == pytest.approx(light[8:12, 12:16].mean(), rel=1e-5)
    edge = light[36:38, 48:50]  # of the last cell, whose other rows and columns repeat the edge
    repeated = np.pad(edge, ((0, 2), (0, 2)), mode="edge")
    assert found.guide[-1, -1] == pytest.approx(repeated.mean(), rel=1e-5)


def test_argmax_keeps_the_class_weights_and_certainty_undoes_them(labels: Palette) -> None:
    photo = np.zeros((8, 8), np.uint8)
    weights = (1.0, 1.0, 8.0, 1.0)
    logits = [0.0, 0.0, float(np.log(8)), 0.0]
    weighted, _ = listened(photo, labels, logits, class_weights=weights)
    plain, _ = listened(photo, labels, logits)
    assert (weighted.mask == 2).all() and (plain.mask == 2).all()
    assert weighted.certainty == pytest.approx(0, abs=1e-6)
    p = np.array([1, 1, 8, 1]) / 11
    assert plain.certainty == pytest.approx(1 + (p * np.log(p)).sum() / np.log(4), abs=1e-5)


def test_belief_is_the_models_own_probability_of_what_wins(labels: Palette) -> None:
    photo = np.zeros((8, 8), np.uint8)
    logits = np.log([6, 1, 8, 1]).tolist()
    weighted, _ = listened(photo, labels, logits, class_weights=(1.0, 1.0, 8.0, 1.0))
    plain, _ = listened(photo, labels, logits)
    assert (weighted.mask == 2).all() and (plain.mask == 2).all()
    np.testing.assert_allclose(weighted.belief, 1 / 9, rtol=1e-5)  # and not the 6 / 9 of class 0
    np.testing.assert_allclose(plain.belief, 8 / 16, rtol=1e-5)
    asked = np.array([0.5, 0.5, 0.2, 0.5], np.float32)  # of the class that wins counts
    assert (weighted.said(asked) == IGNORED).all()
    asked[2] = 0.1
    assert (weighted.said(asked) == 2).all()


def test_grey_is_the_same_picture_as_rgb(segmenting: Make, labels: Palette) -> None:
    random = np.random.default_rng(0)
    grey = random.integers(0, 200, (8, 12), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    grey += random.integers(0, 50, grey.shape, np.uint8)
    ours = Segmenter(segmenting())
    one, other = ours.segment(grey), ours.segment(np.stack([grey] * 3, axis=-1))
    assert np.array_equal(one.probabilities, other.probabilities)
    # L* of RGB comes from a table with steps of 0.014, which may turn a pixel on the edge.
    assert (one.mask != other.mask).mean() < 1e-3
    assert len(np.unique(one.mask)) > 1


def test_a_path_and_an_array_are_the_same(
    segmenting: Make, labels: Palette, tmp_path: Path
) -> None:
    photo = labels.swatches()[BLOCKS]
    Image.fromarray(photo).save(tmp_path / "a.png")
    ours = Segmenter(segmenting())
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(ours.segment(path).mask, ours.segment(photo).mask)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_when_turned(
    orientation: int, segmenting: Make, labels: Palette, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = labels.swatches()[BLOCKS]
    Image.fromarray(photo).save(tmp_path / "turned.png", exif=exif)
    m = BLOCKS
    upright = (m, m[:, ::-1], m[::-1, ::-1], m[::-1], m.T, m.T[:, ::-1], m.T[::-1, ::-1], m.T[::-1])
    found = Segmenter(segmenting()).segment(tmp_path / "turned.png")
    assert np.array_equal(found.mask, upright[orientation - 1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 2), (5, 7, 3)])
def test_the_smallest_and_thinnest_pictures(segmenting: Make, shape: tuple[int, ...]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert Segmenter(segmenting()).segment(photo).mask.shape == shape[:2]


def test_other_pictures_before_change_nothing(segmenting: Make, labels: Palette) -> None:
    photo = labels.swatches()[BLOCKS]
    busy = Segmenter(segmenting())
    busy.segment(photo[::-1, :30])
    alone = Segmenter(segmenting()).segment(photo)
    assert np.array_equal(busy.segment(photo).mask, alone.mask)


def test_a_model_that_colorizes_is_refused(segmenting: Make) -> None:
    for model in ("photo", segmenting(task="colorize")):
        with pytest.raises(ModelError, match="a model to colorize; give one that segments") as told:
            Segmenter(model)
        assert "\n" not in str(told.value)


def test_a_model_without_names_or_without_color_is_refused(
    segmenting: Make, labels: Palette
) -> None:
    unnamed: Any = Listener(Palette("rgb", labels.colors), [0, 0, 0, 0])
    with pytest.raises(ModelError, match="0 names for 4 classes"):
        Segmenter(unnamed)
    grey: Any = Listener(labels, [0, 0, 0, 0], input="light")
    with pytest.raises(ModelError, match="input 'light'"):
        Segmenter(grey)


def test_an_unknown_model_is_an_error() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        Segmenter("no-such-model")


def test_bad_pictures_are_errors_at_once(segmenting: Make, tmp_path: Path) -> None:
    ours = Segmenter(segmenting(), max_pixels=100)
    with pytest.raises(PictureError, match="no such file"):
        ours.segment(tmp_path / "missing.jpg")
    Image.fromarray(np.zeros((10, 11), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="more than 100"):
        ours.segment(tmp_path / "a.png")
    with pytest.raises(PictureError, match="array"):
        ours.segment(np.zeros((4, 4), np.float32))


def test_segmenting_needs_no_torch(segmenting: Make, tmp_path: Path) -> None:
    program = (
        "import sys, numpy; from limner.segment.segmenter import Segmenter; "
        f"found = Segmenter({segmenting()!r}).segment(numpy.zeros((40, 30), numpy.uint8)); "
        f"found.save_overlay({str(tmp_path / 'o.png')!r}); "
        f"found.save_mask({str(tmp_path / 'm.png')!r}); "
        "print(sorted({'torch', 'onnx', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['PIL']"  # of the mask
