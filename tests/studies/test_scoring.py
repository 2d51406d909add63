"""Scores against slow oracles written by hand, and against `limner evaluate`'s own rows."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from limner.card import Card
from limner.color import rgb8_to_lab
from limner.dataset import find
from limner.evaluate import evaluate
from limner.palette import Palette
from limner.studies.scoring import Floats, Truth, accuracy_alike, by_class, paint, score

# Classes 0 and 3, and 1 and 2, are of like brightness (channel means 20, 100, 108, 22).
RGB = Palette("rgb", np.array([[20, 20, 20], [200, 60, 40], [80, 160, 84], [10, 20, 36]]))
AB = Palette("ab", np.array([[0, 0], [30, 20], [-20, 30], [10, -40]]))
SIZE = 12


@pytest.fixture
def truth() -> Truth:
    """Three pictures of blocks in the palette's colors with a little noise."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, len(RGB), (3, SIZE // 4, SIZE // 4)).repeat(4, 1).repeat(4, 2)
    noise = random.integers(-6, 7, (3, SIZE, SIZE, 3))
    return Truth((RGB.colors[blocks] + noise).clip(0, 255).astype(np.uint8), RGB)


@pytest.fixture
def logits() -> Floats:
    return np.random.default_rng(1).normal(size=(4, 3, SIZE, SIZE)).astype(np.float32)


def every_pixel() -> list[tuple[int, int, int]]:
    return [(n, y, x) for n in range(3) for y in range(SIZE) for x in range(SIZE)]


def losses_and_hits(logits: Floats, truth: Truth) -> dict[tuple[int, int, int], tuple[float, bool]]:
    """Of each pixel: -log P(true class), and whether the likeliest class is the true one."""
    found = {}
    for n, y, x in every_pixel():
        levels = [float(level) for level in logits[:, n, y, x]]
        colors = [sum((float(a) - b) ** 2 for a, b in zip(truth.rgb[n, y, x], color, strict=True))
                  for color in RGB.colors.tolist()]  # fmt: skip
        true = colors.index(min(colors))
        total = math.log(sum(math.exp(level) for level in levels))
        found[n, y, x] = (total - levels[true], levels.index(max(levels)) == true)
    return found


def test_loss_and_accuracy_inside_and_at_the_border(truth: Truth, logits: Floats) -> None:
    pixels = losses_and_hits(logits, truth)
    border = {p for p in pixels if min(p[1], p[2]) < 4 or max(p[1], p[2]) >= SIZE - 4}
    scores = score(logits, truth)
    for suffix, chosen in {
        "": set(pixels),
        "_border": border,
        "_inside": set(pixels) - border,
    }.items():
        loss = sum(pixels[p][0] for p in chosen) / len(chosen)
        hits = sum(pixels[p][1] for p in chosen) / len(chosen)
        assert scores[f"loss{suffix}"] == pytest.approx(loss, abs=1e-5)
        assert scores[f"accuracy{suffix}"] == pytest.approx(hits)
    assert scores["loss_border"] != pytest.approx(scores["loss_inside"], abs=1e-3)


def test_accuracy_among_like_brightness(truth: Truth, logits: Floats) -> None:
    rivals = {0: [0, 3], 1: [1, 2], 2: [1, 2], 3: [0, 3]}
    right = 0
    for n, y, x in every_pixel():
        true = int(truth.classes[n, y, x])
        right += max(rivals[true], key=lambda k: logits[k, n, y, x]) == true
    assert accuracy_alike(logits, truth) == pytest.approx(right / truth.classes.size)
    assert score(logits, truth)["accuracy_alike"] == accuracy_alike(logits, truth)


def test_like_brightness_helps_only_against_other_brightness(truth: Truth) -> None:
    """Who knows the brightness alone gains nothing from being told it; who errs in it gains all."""
    knows = np.zeros((4, *truth.classes.shape), np.float32)
    for k in range(4):
        knows[k] = np.isin(truth.classes, [0, 3] if k in (0, 3) else [1, 2])
    scores = score(knows, truth)
    assert scores["accuracy_alike"] == scores["accuracy"] < 1
    wrong = -knows  # the brightness is wrong everywhere, the order within like brightness the same
    assert score(wrong, truth)["accuracy"] == 0
    assert score(wrong, truth)["accuracy_alike"] == scores["accuracy_alike"]


def test_the_error_at_edges_is_that_of_pixels_beside_an_edge(truth: Truth, logits: Floats) -> None:
    lab = rgb8_to_lab(truth.rgb)
    painted = rgb8_to_lab(paint(logits, truth))
    edge = set()
    for n, y, x in every_pixel():

        def ab(dy: int, dx: int, channel: int, n: int = n, y: int = y, x: int = x) -> float:
            y, x = min(max(y + dy, 0), SIZE - 1), min(max(x + dx, 0), SIZE - 1)
            return float(lab[n, y, x, 1 + channel])

        square = 0.0
        for c in (0, 1):
            across = sum(w * (ab(d, 1, c) - ab(d, -1, c)) for d, w in ((-1, 1), (0, 2), (1, 1))) / 8
            down = sum(w * (ab(1, d, c) - ab(-1, d, c)) for d, w in ((-1, 1), (0, 2), (1, 1))) / 8
            square += across**2 + down**2
        if math.sqrt(square) > 3:
            edge.add((n, y, x))
    errors = {True: [], False: []}  # type: dict[bool, list[float]]
    for n, y, x in every_pixel():
        beside = {(n, y, x), (n, y - 1, x), (n, y + 1, x), (n, y, x - 1), (n, y, x + 1)}
        error = math.dist(painted[n, y, x, 1:].tolist(), lab[n, y, x, 1:].tolist())
        errors[bool(beside & edge)].append(error)
    assert errors[True]
    scores = score(logits, truth)
    assert scores["ab_error_edges"] == pytest.approx(np.mean(errors[True]), abs=1e-4)
    assert scores["ab_error"] == pytest.approx(np.mean(errors[True] + errors[False]), abs=1e-4)


def test_what_becomes_of_each_class(truth: Truth, logits: Floats) -> None:
    logits[2] = -9  # a class that is never predicted
    table = by_class(logits, truth)
    pixels = truth.classes.size
    for k in range(4):
        true = [p for p in every_pixel() if truth.classes[p] == k]
        said = [p for p in every_pixel() if max(range(4), key=lambda c: logits[(c, *p)]) == k]
        assert table["true"][k] == pytest.approx(len(true) / pixels, abs=1e-5)
        assert table["predicted"][k] == pytest.approx(len(said) / pixels, abs=1e-5)
        assert table["recall"][k] == pytest.approx(len(set(true) & set(said)) / len(true), abs=1e-5)
        means = [round(sum(map(int, truth.rgb[p])) / 3) for p in said]
        assert table["grey"][k] == pytest.approx(sum(means) / max(1, len(means)), abs=1e-4)
    assert table["grey"][2] == 0
    assert score(logits, truth)["colors"] == 3


def test_a_class_that_never_occurs_has_no_recall(truth: Truth, logits: Floats) -> None:
    only = Truth(np.full((3, SIZE, SIZE, 3), 20, np.uint8), RGB)
    assert by_class(logits, only)["recall"][1:] == [0, 0, 0]


def test_an_ab_palette_has_no_like_brightness(truth: Truth, logits: Floats) -> None:
    other = Truth(truth.rgb, AB)
    np.testing.assert_array_equal(other.classes, AB.classes(rgb8_to_lab(truth.rgb)[..., 1:]))
    assert set(score(logits, truth)) - set(score(logits, other)) == {"accuracy_alike"}


@pytest.mark.parametrize("palette", [RGB, AB], ids=["rgb", "ab"])
def test_scores_are_those_of_limner_evaluate(palette: Palette, tmp_path: Path) -> None:
    """A model of one 1 x 1 convolution, scored here from its logits and there from its file.

    A few pixels round to another of 256 levels where ONNX Runtime and numpy differ in a last digit.
    """
    slope = np.array([-3, 1, 2, 0.5], np.float32)
    bias = np.array([1, 0, -0.5, 0.2], np.float32)
    truth = Truth(pictures("cifar10:horse"), palette)
    mean = truth.rgb.mean(axis=-1, dtype=np.float32) / 255
    seen = mean if palette is RGB else truth.lab[..., 0] / 100
    logits = slope[:, None, None, None] * seen + bias[:, None, None, None]
    theirs = evaluate(model_file(palette, slope, bias, tmp_path), "cifar10:horse")["rows"]["ours"]
    ours = score(logits.astype(np.float32), truth)
    for column in ("loss", "accuracy", "ab_error", "de2000"):
        assert ours[column] == pytest.approx(theirs[column]["value"], abs=2e-3), column


def pictures(spec: str) -> np.ndarray:
    images = find(spec, "val").images
    assert images is not None
    return images


def model_file(palette: Palette, slope: Floats, bias: Floats, folder: Path) -> str:
    """A model file whose logits are slope x input + bias at every pixel."""
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Conv", ["light", "w", "b"], ["logits"])],
        "pixels",
        [helper.make_tensor_value_info("light", floats, ["N", 1, "H", "W"])],
        [helper.make_tensor_value_info("logits", floats, ["N", 4, "H", "W"])],
        [helper.make_tensor("w", floats, [4, 1, 1, 1], slope),
         helper.make_tensor("b", floats, [4], bias)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = Card(
        name="pixels", task="colorize", network={"name": "none", "arguments": {}},
        input="mean" if palette.space == "rgb" else "light", working_size=32, stride=1,
        multiple=1, palette=palette,
    )  # fmt: skip
    helper.set_model_props(model, {"limner": card.to_json()})
    path = folder / "pixels.onnx"
    onnx.save(model, path)
    return str(path)
