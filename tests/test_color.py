"""Colors against their standards: scikit-image and published pairs as second hands, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import color as oracle

from limner import color


@pytest.fixture(scope="module")
def cube() -> np.ndarray:
    """8-bit RGB at every fifth level, which holds all eight corners: [52 ** 3, 3]."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)


@pytest.fixture(scope="module")
def wild() -> np.ndarray:
    """Lab colors of which most lie outside sRGB: [5000, 3]."""
    rng = np.random.default_rng(0)
    return rng.uniform((0, -110, -110), (100, 110, 110), (5000, 3))


def test_the_foot_and_middle_of_the_srgb_curve() -> None:
    srgb = np.array([0.0, 0.04045, 0.5, 1.0])
    linear = np.array([0.0, 0.04045 / 12.92, 0.21404114048, 1.0])
    np.testing.assert_allclose(color.srgb_to_linear(srgb), linear, atol=1e-10)
    np.testing.assert_allclose(color.linear_to_srgb(linear), srgb, atol=1e-10)


@given(st.floats(-2, 2))
def test_the_srgb_curve_there_and_back_negatives_too(value: float) -> None:
    there = color.srgb_to_linear(np.array(value))
    assert color.linear_to_srgb(there) == pytest.approx(value, abs=1e-12)
    assert color.srgb_to_linear(np.array(-value)) == -there


def test_the_matrix_is_the_one_of_bt709() -> None:
    # IEC 61966-2-1 prints these four-digit values.
    printed = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    np.testing.assert_allclose(color.TO_XYZ, printed, atol=6e-5)


def test_lab_equals_scikit_image(cube: np.ndarray) -> None:
    # Its matrix and white are rounded to six and five digits: 0.02 is that difference.
    expected = oracle.rgb2lab(cube / 255)
    np.testing.assert_allclose(color.rgb_to_lab(cube / 255), expected, atol=0.02)


def test_rgb_to_lab_and_back_over_the_cube(cube: np.ndarray) -> None:
    back = color.lab_to_rgb(color.rgb_to_lab(cube / 255))
    np.testing.assert_allclose(back * 255, cube, atol=1e-9)
    in_float32 = color.lab_to_rgb(color.rgb_to_lab((cube / 255).astype(np.float32)))
    np.testing.assert_allclose(in_float32 * 255, cube, atol=0.05)


def test_eight_bits_there_and_back_over_the_cube(cube: np.ndarray) -> None:
    np.testing.assert_array_equal(color.lab_to_rgb8(color.rgb8_to_lab(cube)), cube)


def test_tables_equal_the_formula(cube: np.ndarray) -> None:
    lab = color.rgb8_to_lab(cube)
    assert lab.dtype == np.float32
    assert np.abs(lab - color.rgb_to_lab(cube / 255)).max() < 0.02
    gray = np.arange(256, dtype=np.uint8)
    light = color.rgb_to_lab(np.stack([gray] * 3, axis=-1) / 255)[:, 0]
    np.testing.assert_allclose(color.gray8_to_light(gray), light, atol=1e-4)


def test_tables_treat_every_block_alike(cube: np.ndarray) -> None:
    picture = cube[: 208 * 300].reshape(208, 300, 3)
    lab = color.rgb8_to_lab(picture)
    assert picture[..., 0].size > color.BLOCK
    np.testing.assert_array_equal(lab[-1], color.rgb8_to_lab(picture[-1]))
    np.testing.assert_array_equal(color.lab_to_rgb8(lab), picture)
    assert color.rgb8_to_lab(picture[:0]).shape == (0, 300, 3)


def test_grey_has_no_chroma() -> None:
    gray = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert np.abs(color.rgb_to_lab(gray / 255)[:, 1:]).max() < 1e-10
    assert np.abs(color.rgb_to_lab((gray / 255).astype(np.float32))[:, 1:]).max() < 1e-4
    assert np.abs(color.rgb8_to_lab(gray)[:, 1:]).max() < 1e-4


def test_lightness_of_luminance_is_the_light_of_lab(cube: np.ndarray) -> None:
    linear = color.srgb_to_linear(cube / 255)
    light = color.lightness(color.luminance(linear))
    np.testing.assert_allclose(light, color.rgb_to_lab(cube / 255)[:, 0], atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_numbers_stays(cube: np.ndarray, dtype: type) -> None:
    lab = color.rgb_to_lab((cube / 255).astype(dtype))
    linear = color.lab_to_linear(lab)
    both = [lab, linear, color.lab_to_rgb(lab), color.fit_gamut(linear), color.de2000(lab, lab)]
    assert {values.dtype for values in both} == {np.dtype(dtype)}


def test_fit_gamut_keeps_light_and_fits(wild: np.ndarray) -> None:
    linear = color.lab_to_linear(wild)
    fitted = color.fit_gamut(linear)
    outside = ((linear < 0) | (linear > 1)).any(axis=1)
    assert outside.mean() > 0.5
    assert fitted.min() >= 0
    assert fitted.max() <= 1
    lab = color.xyz_to_lab(color.linear_to_xyz(fitted))
    np.testing.assert_allclose(lab[:, 0], wild[:, 0], atol=1e-9)
    # Clipping, the obvious other way, would not keep the light.
    clipped = color.xyz_to_lab(color.linear_to_xyz(linear.clip(0, 1)))
    assert np.abs(clipped[:, 0] - wild[:, 0]).mean() > 1


def test_fit_gamut_gives_up_no_more_than_it_must(wild: np.ndarray) -> None:
    linear = color.lab_to_linear(wild)
    outside = ((linear < 0) | (linear > 1)).any(axis=1)
    fitted = color.fit_gamut(linear)
    np.testing.assert_array_equal(fitted[~outside], linear[~outside])
    edge = np.minimum(fitted[outside].min(axis=1), 1 - fitted[outside].max(axis=1))
    np.testing.assert_allclose(edge, 0, atol=1e-12)


def test_fit_gamut_leaves_its_input_alone_and_takes_one_pixel() -> None:
    linear = np.array([1.2, 0.3, -0.1])
    fitted = color.fit_gamut(linear)
    np.testing.assert_array_equal(linear, [1.2, 0.3, -0.1])
    assert fitted.shape == (3,)
    assert color.luminance(fitted) == pytest.approx(color.luminance(linear))


def test_fit_gamut_beyond_black_and_white() -> None:
    beyond = np.array([[-0.2, -0.1, 0.0], [1.5, 1.2, 1.1], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    black, white = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(color.fit_gamut(beyond), [black, white, black, white])


def test_light_is_kept_in_eight_bits_outside_the_gamut_too(wild: np.ndarray) -> None:
    rgb = color.lab_to_rgb8(wild)
    assert np.abs(color.rgb8_to_lab(rgb)[:, 0] - wild[:, 0]).mean() < 0.5
    slow = 255 * color.linear_to_srgb(color.fit_gamut(color.lab_to_linear(wild)))
    # Half a level, and half a step of the table where the curve is steepest.
    np.testing.assert_allclose(rgb, slow, atol=0.53)


# Sharma, Wu, Dalal 2005, table 1: the pairs around the hue's discontinuities and the arctangent's.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.0200), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_de2000_of_the_published_pairs(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    one, two = np.array(first), np.array(second)
    assert color.de2000(one, two) == pytest.approx(expected, abs=1e-4)
    assert color.de2000(two, one) == pytest.approx(expected, abs=1e-4)


def test_de2000_equals_scikit_image(wild: np.ndarray) -> None:
    other = np.roll(wild, 1, axis=0)
    expected = oracle.deltaE_ciede2000(wild, other)
    np.testing.assert_allclose(color.de2000(wild, other), expected, atol=1e-9)
    np.testing.assert_array_equal(color.de2000(wild, wild), 0)


def test_colorfulness() -> None:
    halves = np.zeros((4, 6, 3), np.uint8)
    halves[:, :3, 0] = 255
    halves[:, 3:, 1] = 255
    assert color.colorfulness(halves) == pytest.approx(293.25)
    gray = np.repeat(np.arange(24, dtype=np.uint8).reshape(4, 6, 1), 3, axis=2)
    assert color.colorfulness(gray) == 0
