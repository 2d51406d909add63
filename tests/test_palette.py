"""A palette's laws: class and color go both ways, JSON is exact, k-means leaves no class empty."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import KMeans

import limner.palette as palette_module
from limner import weights
from limner.color import rgb8_to_lab
from limner.dataset import find
from limner.errors import LimnerError, PaletteError
from limner.palette import CHANNELS, Palette

Space = Literal["rgb", "ab"]
Floats = NDArray[np.float32]
SPACES: tuple[Space, ...] = ("rgb", "ab")
DATA = Path(__file__).parent / "data"
HORSES = Path(__file__).parents[1] / "data" / "cifar-10-batches-bin" / "data_batch_5.bin"


def colors(space: Space, K: int, seed: int) -> Floats:
    """K different colors anywhere in the space."""
    low, high = (0, 255) if space == "rgb" else (-110, 110)
    random = np.random.default_rng(seed)
    return random.uniform(low, high, (K, CHANNELS[space])).astype(np.float32)


def horses() -> Floats:
    """The pixels of the sample's horses: [n, 3]; correlated and clustered, as real ones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMNER_DATA", str(DATA))
        images = find("cifar10:horse", "train").images
    assert images is not None
    return images.reshape(-1, 3).astype(np.float32)


def inertia(points: Floats, centers: Floats) -> float:
    """The mean squared distance to the nearest center, computed the slow way."""
    distance = np.full(len(points), np.inf)
    for center in centers.astype(np.float64):
        distance = np.minimum(distance, ((points - center) ** 2).sum(axis=1))
    return float(distance.mean())


# Law 1


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("K", [1, 2, 24, 250])
def test_the_class_of_a_class_color_is_that_class(space: Space, K: int) -> None:
    palette = Palette(space, colors(space, K, seed=K))
    classes = np.arange(K)
    assert palette.color(classes).shape == (K, CHANNELS[space])
    assert palette.color(classes).dtype == np.float32
    assert np.array_equal(palette.classes(palette.color(classes)), classes)
    wrong = Palette(space, palette.colors[::-1])  # control: the law can fail
    if K > 1:
        assert not np.array_equal(wrong.classes(palette.color(classes)), classes)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("apart", [1.0, 0.1, 0.02])
def test_the_law_holds_for_colors_that_lie_close_together(space: Space, apart: float) -> None:
    """As k-means leaves them on narrow data: a hundredth of a level is far below any difference
    that an eye or a file of 8 bits knows."""
    steps = np.arange(100, dtype=np.float32)[:, None] * np.float32(apart)
    near_white = np.float32(255) - steps if space == "rgb" else np.float32(-100) + steps
    palette = Palette(space, np.repeat(near_white, CHANNELS[space], axis=1))
    assert np.array_equal(palette.classes(palette.colors), np.arange(100))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SPACES), st.integers(2, 250), st.integers(0, 2**32 - 1))
def test_the_nearest_class_is_nearest(space: Space, K: int, seed: int) -> None:
    palette = Palette(space, colors(space, K, seed))
    values = colors(space, 60, seed + 1).reshape(3, 20, -1)
    classes = palette.classes(values)
    assert classes.shape == (3, 20)
    assert classes.dtype == np.int64
    squares = ((values[..., None, :].astype(float) - palette.colors) ** 2).sum(axis=-1)
    chosen = np.take_along_axis(squares, classes[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(chosen, squares.min(axis=-1), rtol=0, atol=0.05)


def test_bytes_have_the_classes_of_their_numbers() -> None:
    palette = Palette("rgb", colors("rgb", 24, seed=0))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    assert np.array_equal(palette.classes(pixels), palette.classes(pixels.astype(np.float64)))
    assert palette.classes(pixels[:0]).shape == (0, 7)


def test_more_colors_than_are_held_at_once_have_the_same_classes() -> None:
    palette = Palette("ab", colors("ab", 250, seed=0))
    values = colors("ab", 40_000, seed=1)  # 10 million distances
    pieces = [palette.classes(piece) for piece in np.array_split(values, 77)]
    assert np.array_equal(palette.classes(values), np.concatenate(pieces))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("K", [1, 24, 250])
def test_the_expected_color_of_a_sure_distribution_is_the_class_color(space: Space, K: int) -> None:
    palette = Palette(space, colors(space, K, seed=K))
    assert np.array_equal(palette.expected(np.eye(K, dtype=np.float32)), palette.colors)
    even = np.full((2, 3, K), 1 / K)
    expected = palette.expected(even)
    assert expected.shape == (2, 3, CHANNELS[space])
    assert expected.dtype == np.float32
    np.testing.assert_allclose(expected[1, 2], palette.colors.mean(axis=0, dtype=float), atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 2), min_size=1, max_size=30, unique=True)
)
def test_json_there_and_back_is_exact(ab: list[tuple[float, float]]) -> None:
    palette = Palette("ab", np.unique(np.array(ab, np.float32) + 0.0, axis=0))
    document = json.loads(json.dumps(palette.to_json(), allow_nan=False))
    back = Palette.from_json(document)
    assert back == palette
    assert back.colors.tobytes() == palette.colors.tobytes()
    assert hash(back) == hash(palette)


@pytest.mark.parametrize("space", SPACES)
def test_a_file_there_and_back_is_exact(space: Space, tmp_path: Path) -> None:
    palette = Palette(space, colors(space, 250, seed=3))
    palette.save(tmp_path / "p.json")
    assert Palette.load(tmp_path / "p.json") == palette
    palette.save(tmp_path / "q.json")
    assert (tmp_path / "p.json").read_bytes() == (tmp_path / "q.json").read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {"p.json", "q.json"}


NAMED = Palette("rgb", np.array([[0, 0, 0], [128, 0, 0]]), ("background", "cat"))


def test_names_go_with_the_classes(tmp_path: Path) -> None:
    assert NAMED.names == ("background", "cat")
    document = json.loads(json.dumps(NAMED.to_json()))
    assert document["names"] == ["background", "cat"]
    assert Palette.from_json(document) == NAMED
    NAMED.save(tmp_path / "labels.json")
    assert Palette.load(tmp_path / "labels.json").names == NAMED.names


def test_palettes_of_other_names_are_others() -> None:
    same = Palette("rgb", NAMED.colors, ("background", "cat"))
    assert (NAMED, hash(NAMED)) == (same, hash(same))
    for names in ((), ("background", "dog"), ("cat", "background")):
        other = Palette("rgb", NAMED.colors, names)
        assert other != NAMED
        assert hash(NAMED) != hash(other)


def test_colors_without_names_are_written_as_before() -> None:
    """Cards and records of colors keep their bytes."""
    bare = Palette("rgb", NAMED.colors)
    assert bare.names == ()
    assert set(bare.to_json()) == {"space", "colors"}
    assert Palette.from_json(bare.to_json()).names == ()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("cat",), "1 names for 2 colors"),
        (("a", "b", "c"), "3 names for 2 colors"),
        (("cat", "cat"), "twice"),
        (("cat", ""), "empty"),
    ],
)
def test_names_that_do_not_fit_are_refused(names: tuple[str, ...], says: str) -> None:
    with pytest.raises(PaletteError, match=says) as error:
        Palette("rgb", NAMED.colors, names)
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(PaletteError, match=says):
        Palette.from_json({**NAMED.to_json(), "names": list(names)})


def test_palettes_are_equal_by_value_and_cannot_be_changed() -> None:
    values = colors("ab", 5, seed=0)
    palette = Palette("ab", values)
    assert palette == Palette("ab", values.copy())
    assert palette != Palette("ab", values[::-1])
    values[0] = 99
    assert palette.colors[0, 0] != 99  # its own copy
    with pytest.raises(ValueError, match="read-only"):
        palette.colors[0] = 1


# K-means


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("K", [8, 24])
def test_k_means_is_about_as_good_as_scikit_learns(K: int, seed: int) -> None:
    points = horses()[::3]
    theirs = KMeans(K, n_init=3, random_state=seed).fit(points).cluster_centers_
    ours = Palette.learn(points, K, seed=seed).colors
    assert inertia(points, ours) <= 1.06 * inertia(points, theirs.astype(np.float32))


def test_k_means_finds_clusters_that_are_there() -> None:
    random = np.random.default_rng(0)
    true = np.array([[20, 20, 20], [220, 30, 30], [30, 200, 60], [240, 240, 250]], np.float32)
    points = np.repeat(true, 500, axis=0) + random.normal(0, 3, (2000, 3))
    found = Palette.learn(points, 4, seed=1).colors
    distance = np.linalg.norm(found[:, None] - true, axis=-1).min(axis=0)
    assert distance.max() < 0.5
    assert inertia(points.astype(np.float32), found) < 28  # 3 channels, variance 9


def test_the_same_seed_learns_the_same_palette() -> None:
    points = horses()[::5]
    one = Palette.learn(points, 24, seed=7)
    assert one == Palette.learn(points, 24, seed=7)
    assert one != Palette.learn(points, 24, seed=8)
    assert one == Palette.learn(points.astype(np.uint8), 24, seed=7)


def crowded(different: int, n: int, seed: int) -> Floats:
    """n points at few different places, most of them at the first ones."""
    random = np.random.default_rng(seed)
    places = random.choice(216, different, replace=False)
    chosen = places[np.minimum(random.zipf(1.6, n) - 1, different - 1)]
    chosen[:different] = places  # each at least once
    return (np.stack(np.unravel_index(chosen, (6, 6, 6)), axis=1) * 51).astype(np.float32)


@pytest.mark.parametrize(("n", "seed"), [(100, 0), (100, 1), (2_000, 2), (2_000, 3), (20_000, 4)])
def test_k_means_never_leaves_a_class_empty(n: int, seed: int) -> None:
    """Also where most points are equal, and where there are as many classes as places."""
    for different, K in ((40, 40), (40, 39), (60, 30), (3, 2)):
        points = crowded(different, n, seed)
        palette = Palette.learn(points, K, seed=seed)
        assert len(palette) == K
        counts = np.bincount(palette.classes(points), minlength=K)
        assert counts.min() > 0, (different, K)
        if different == K:
            assert inertia(points, palette.colors) == 0


@pytest.mark.parametrize("seed", range(2))
def test_k_means_never_leaves_a_class_empty_on_noise(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.lognormal(0, 2, (10_000, 2)).astype(np.float32)
    palette = Palette.learn(points, 100, "ab", seed=seed)
    assert np.bincount(palette.classes(points), minlength=100).min() > 0


@pytest.mark.parametrize(
    "start",
    [
        [[0, 0], [0, 0], [0, 0]],  # all in one place: the first takes every point
        [[0, 0], [500, 500], [-500, 500]],  # far away from every point
        [[60, 0], [0, 0], [-500, 0]],  # the farthest point is the only one of its class
    ],
)
def test_k_means_fills_classes_that_a_bad_start_leaves_empty(
    monkeypatch: pytest.MonkeyPatch, start: list[list[float]]
) -> None:
    """The usual start hardly ever does."""
    points = np.array([[100, 0]] + [[0, 0]] * 20 + [[1, 0]] * 20, np.float32)
    centers = np.array(start, np.float32)
    monkeypatch.setattr(palette_module, "_spread", lambda points, K, random: centers)
    palette = Palette.learn(points, 3, "ab")
    assert {tuple(color) for color in palette.colors} == {(100, 0), (0, 0), (1, 0)}


@pytest.mark.parametrize("K", [0, -1, 4])
def test_more_classes_than_colors_are_refused(K: int) -> None:
    points = np.array([[0, 0, 0], [9, 9, 9], [200, 0, 0]] * 50, np.float32)
    with pytest.raises(PaletteError, match="fewer classes"):
        Palette.learn(points, K)
    assert len(Palette.learn(points, 3)) == 3


# The grid


def test_the_grids_cells_are_multiples_of_its_side() -> None:
    ab = rgb8_to_lab(horses().astype(np.uint8))[:, 1:]
    for side in (10.0, 7.0):
        palette = Palette.grid(ab, side)
        assert palette.space == "ab"
        assert np.array_equal(palette.colors % np.float32(side), np.zeros_like(palette.colors))
        away = np.abs(ab - palette.color(palette.classes(ab))).max()
        assert away <= side / 2 + 1e-3  # every pixel's own cell is a class here
        classes = palette.classes(ab)
        assert np.bincount(classes, minlength=len(palette)).min() > 0


def test_the_grid_keeps_the_cells_that_hold_two_of_a_million() -> None:
    ab = np.zeros((1_000_000, 2), np.float32)
    ab[:2] = (20, 30)
    ab[2:3] = (-40, 52)  # once
    ab[3:6] = (-61, -18)
    palette = Palette.grid(ab)
    assert {tuple(color) for color in palette.colors} == {(0, 0), (20, 30), (-60, -20)}
    assert len(Palette.grid(ab[:1000])) == 4  # of a thousand, one is enough


def test_colors_of_a_dropped_cell_go_to_the_nearest_class() -> None:
    ab = np.array([[0, 0]] * 10 + [[30, 0]] * 10 + [[20, 2]], np.float32)
    palette = Palette.grid(ab, least=0.1)
    assert np.array_equal(palette.color(palette.classes(ab[-1:])), [[30, 0]])


# Showing


def test_swatches_show_rgb_colors_as_they_are_and_ab_colors_in_their_hue() -> None:
    rgb = Palette("rgb", np.array([[0, 127.6, 255], [1, 2, 3]]))
    assert rgb.swatches().tolist() == [[0, 128, 255], [1, 2, 3]]
    ab = Palette("ab", np.array([[0, 0], [40, 20], [20, -70], [-120, 120]]))
    shown = ab.swatches()
    assert shown.dtype == np.uint8
    assert shown[0].max() == shown[0].min()  # no chroma: grey
    lab = rgb8_to_lab(shown)
    np.testing.assert_allclose(lab[:, 0], 60, atol=0.5)
    np.testing.assert_allclose(lab[1, 1:], [40, 20], atol=1)
    # Out of the gamut: less chroma, about the same hue.
    assert -120 < lab[3, 1] < -20
    assert 20 < lab[3, 2] < 120


# Errors


@pytest.mark.parametrize(
    ("space", "table", "message"),
    [
        ("lab", [[1, 2, 3]], "'rgb' or 'ab'"),
        ("rgb", [[1, 2]], r"\[K, 3\]"),
        ("ab", [[1, 2, 3]], r"\[K, 2\]"),
        ("ab", [1, 2], r"\[K, 2\]"),
        ("ab", np.zeros((0, 2)), "K >= 1"),
        ("ab", [[1, float("nan")]], "finite"),
        ("ab", [[1, 2], [float("inf"), 0]], "finite"),
        ("ab", [[1, 2], [3, 4], [1, 2]], "twice"),
    ],
)
def test_a_malformed_palette_is_refused(space: Space, table: object, message: str) -> None:
    with pytest.raises(PaletteError, match=message) as error:
        Palette(space, np.array(table, np.float32))
    assert len(str(error.value).splitlines()) == 1
    document = {"space": space, "colors": np.array(table).tolist()}
    with pytest.raises(PaletteError):
        Palette.from_json(document)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        '{"space": "ab"}',
        '{"space": "ab", "colors": [[1, 2]], "more": 1}',
        '{"space": "ab", "colors": [[1, 2]], "names": "a"}',
        '{"space": "ab", "colors": [[1, 2]], "names": [1]}',
        '{"space": "ab", "colors": [[1, 2]], "names": {"a": 1}}',
        '{"space": "ab", "colors": [[1, 2]], "names": null}',
        '{"names": ["a"]}',
        '{"space": "ab", "colors": [[1, "x"]]}',
        '{"space": "ab", "colors": [[1, 2], [3]]}',
        '{"space": "ab", "colors": null}',
        '{"space": ["ab"], "colors": [[1, 2]]}',
        '{"space": "ab", "colors": [[1, 1e999]]}',
    ],
)
def test_a_file_that_is_no_palette_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "p.json"
    file.write_text(content)
    with pytest.raises(PaletteError) as error:
        Palette.load(file)
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PaletteError, match=r"gone\.json: cannot be read"):
        Palette.load(tmp_path / "gone.json")
    (tmp_path / "p.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PaletteError, match=r"p\.json"):
        Palette.load(tmp_path / "p.json")
    with pytest.raises(LimnerError, match="cannot be written"):
        Palette("ab", np.zeros((1, 2), np.float32)).save(tmp_path / "gone" / "p.json")


# The embedded palette


def test_the_embedded_palette_has_24_rgb_colors() -> None:
    palette = weights.palette("horse24")
    assert palette.space == "rgb"
    assert palette.colors.shape == (24, 3)
    assert palette.colors.min() >= 0
    assert palette.colors.max() <= 255
    with pytest.raises(PaletteError, match="horse24"):
        weights.palette("horse25")


@pytest.mark.data
@pytest.mark.skipif(not HORSES.is_file(), reason="needs data/cifar-10-batches-bin: run `make data`")
def test_the_embedded_palette_is_near_the_best_for_the_horses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIMNER_DATA", str(HORSES.parents[1]))
    images = find("cifar10:horse", "train").images
    assert images is not None
    assert len(images) == 5000
    points = images.reshape(-1, 3)[::97].astype(np.float32)  # 52,784 pixels
    best = KMeans(24, n_init=3, random_state=0).fit(points).cluster_centers_.astype(np.float32)
    ours = inertia(points, weights.palette("horse24").colors)
    assert ours <= 1.03 * inertia(points, best)
