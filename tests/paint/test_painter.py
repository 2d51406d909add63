"""One photograph in, one painting out: what the network sees, and what becomes of its answer."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.color import gray8_to_light, lab_to_rgb8, rgb8_to_lab
from limner.errors import LimnerError, ModelError, PictureError
from limner.paint.painter import Painter, beyond_tint

Make = Callable[..., Any]  # the fixture `painter`


def test_light_is_kept(painter: Make, photo: np.ndarray) -> None:
    lab = rgb8_to_lab(painter(saturation=2).colorize(photo).array)
    assert np.abs(lab[..., 0] - gray8_to_light(photo)).mean() < 0.5
    assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 10  # it was painted


def test_saturation_0_is_the_grey_picture(painter: Make, photo: np.ndarray) -> None:
    assert (painter(saturation=0).colorize(photo).array == photo[..., None]).all()


def test_saturation_is_a_factor_of_chroma(painter: Make, photo: np.ndarray) -> None:
    ab = painter().colorize(photo).ab
    assert np.allclose(painter(saturation=0.5).colorize(photo).ab, 0.5 * ab)
    assert np.allclose(painter(saturation=2).colorize(photo).ab, 2 * ab)


@pytest.mark.parametrize(
    "settings",
    [
        {"saturation": math.nan},
        {"saturation": -0.1},
        {"saturation": 2.1},
        {"saturation": math.inf},
        {"size": -3},
        {"size": 0},
        {"size": 31},
        {"size": 64.5},
        {"size": True},
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"temperature": math.inf},
    ],
)
def test_settings_out_of_range(painter: Make, settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(LimnerError, match=name) as caught:
        painter(**settings)
    assert "\n" not in str(caught.value)


def test_size_and_temperature_come_from_the_card_unless_said(painter: Make) -> None:
    card = {"working_size": 48, "temperature": 0.6}
    assert (painter(card).size, painter(card).temperature) == (48, 0.6)
    said = painter(card, size=96, temperature=1.5)
    assert (said.size, said.temperature) == (96, 1.5)


def test_temperature_sharpens(painter: Make, photo: np.ndarray) -> None:
    sharp = painter(temperature=0.1).colorize(photo)
    flat = painter(temperature=5.0).colorize(photo)
    assert np.hypot(*sharp.ab.T).mean() > 1.2 * np.hypot(*flat.ab.T).mean()
    assert sharp.certainty == flat.certainty  # the model's own


def test_a_model_for_something_else_is_refused(painter: Make) -> None:
    with pytest.raises(ModelError, match="segment"):
        painter({"task": "segment"})


def test_the_network_sees_the_working_size_padded_by_its_edge(
    painter: Make, photo: np.ndarray
) -> None:
    ours = painter(size=40)
    ours.colorize(photo)
    (x,) = ours.model.seen
    assert x.shape == (1, 1, 48, 64)  # 40 x 56 brought to multiples of 16
    assert x.dtype == np.float32
    assert x.min() >= 0 and x.max() <= 1
    assert (x[0, 0, 40:] == x[0, 0, 39]).all()
    assert (x[0, 0, :, 56:] == x[0, 0, :, 55:56]).all()


def test_the_input_is_what_the_card_says(painter: Make, photo: np.ndarray) -> None:
    small = photo[:40, :40]
    rgb = np.stack([small, small // 2, small // 4], axis=-1)
    for kind, expected in (
        ("light", rgb8_to_lab(rgb)[..., 0] / 100),
        ("mean", rgb.mean(axis=-1) / 255),
    ):
        ours = painter({"input": kind})
        ours.colorize(rgb)
        assert np.abs(ours.model.seen[0][0, 0, :40, :40] - expected).max() < 1e-3
    assert np.abs(expected - rgb8_to_lab(rgb)[..., 0] / 100).max() > 0.01  # they differ


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_the_thinnest_pictures(painter: Make, tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "thin.png")
    painting = painter().colorize(tmp_path / "thin.png")
    assert painting.array.shape == (*shape, 3)
    light = rgb8_to_lab(painting.array)[..., 0]
    assert np.abs(light - gray8_to_light(pixels)).mean() < 0.5


def test_a_path_and_an_array_are_the_same(painter: Make, tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    by_path = painter().colorize(tmp_path / "a.png")
    assert np.array_equal(by_path.array, painter().colorize(photo).array)
    assert np.array_equal(painter().colorize(str(tmp_path / "a.png")).array, by_path.array)


def test_other_pictures_before_change_nothing(painter: Make, photo: np.ndarray) -> None:
    alone = painter().colorize(photo).array
    busy = painter()
    busy.colorize(photo[::-1].copy())
    busy.colorize(photo[:7, :9])
    assert np.array_equal(busy.colorize(photo).array, alone)


def test_bad_pictures_are_errors_at_once(painter: Make, tmp_path: Path, photo: np.ndarray) -> None:
    with pytest.raises(PictureError, match="no such file"):
        painter().colorize(tmp_path / "missing.jpg")
    Image.fromarray(photo).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="more than 100"):
        painter(max_pixels=100).colorize(tmp_path / "a.png")
    with pytest.raises(PictureError, match="array"):
        painter().colorize(photo.astype(np.float32))


def test_colors_are_ignored_and_said_beyond_a_tint(painter: Make, photo: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    light = gray8_to_light(photo)
    none = np.zeros_like(light)
    sepia = lab_to_rgb8(np.stack([light, 4 + none, 25 * light / 100], axis=-1))
    colors = lab_to_rgb8(np.stack([light, *rng.normal(0, 20, (2, *light.shape))], axis=-1))
    assert not painter().colorize(photo).colors_ignored
    assert not painter().colorize(np.stack([photo] * 3, axis=-1)).colors_ignored
    assert not painter().colorize(sepia).colors_ignored
    assert painter().colorize(colors).colors_ignored
    assert beyond_tint(colors) and not beyond_tint(sepia)


def test_colors_of_the_photograph_do_not_matter(painter: Make, photo: np.ndarray) -> None:
    light = gray8_to_light(photo).clip(30, 70)
    shift = np.full_like(light, 12)
    ours = painter(saturation=1)
    one = ours.colorize(lab_to_rgb8(np.stack([light, shift, 0 * light], axis=-1)))
    other = ours.colorize(lab_to_rgb8(np.stack([light, 0 * light, -shift], axis=-1)))
    assert np.abs(one.array.astype(int) - other.array).mean() < 1


def test_another_model_by_name_is_an_error() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        Painter("no-such-model")
