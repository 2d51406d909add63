"""The table of scores: laws that hold for any model, on models small enough to know by heart."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from limner.card import Card
from limner.color import rgb8_to_lab
from limner.dataset import find
from limner.errors import DataError
from limner.evaluate import evaluate
from limner.evaluate.color import look
from limner.paint.cells import cell_means
from limner.paint.painter import Painter
from limner.palette import Palette
from limner.picture import read_rgb, write_strips
from limner.scores import psnr

DATA = Path(__file__).parents[1] / "data"
AB = Palette("ab", np.array([[0, 0], [30, 20], [-20, 30], [10, -40]], np.float32))
RGB = Palette("rgb", np.array([[20, 20, 20], [200, 60, 40], [60, 120, 60], [240, 240, 240]]))
COLUMNS = {"auc", "ab_error", "de2000", "psnr", "colorfulness", "light_error"}
SIMPLE = {"ours", "grey", "mean", "other", "best", "truth"}


@pytest.fixture(autouse=True)
def sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_DATA", str(DATA))


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """make(palette, ...) writes a model whose logits are slope x mean light of a cell + bias."""

    def make(
        palette: Palette, stride: int = 4, slope: Any = 0, bias: Any = 0, **changes: Any
    ) -> str:
        K = len(palette)
        weights = np.broadcast_to(np.reshape(slope, (-1, 1, 1, 1)), (K, 1, stride, stride))
        weights = (weights / stride**2).astype(np.float32)
        biases = np.broadcast_to(np.asarray(bias, np.float32), K)
        graph = helper.make_graph(
            [helper.make_node("Conv", ["light", "w", "b"], ["logits"], strides=[stride, stride])],
            "cells",
            [helper.make_tensor_value_info("light", TensorProto.FLOAT, ["N", 1, "H", "W"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", K, "h", "w"])],
            [
                helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel()),
                helper.make_tensor("b", TensorProto.FLOAT, [K], biases),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        card: dict[str, Any] = {
            "name": "cells", "task": "colorize", "network": {"name": "none", "arguments": {}},
            "input": "mean" if palette.space == "rgb" else "light", "working_size": 64,
            "stride": stride, "multiple": stride, "palette": palette,
        }  # fmt: skip
        helper.set_model_props(model, {"limner": Card(**{**card, **changes}).to_json()})
        path = tmp_path / "cells.onnx"
        onnx.save(model, path)
        return str(path)

    return make


def one_picture(folder: Path) -> Path:
    """A folder with the first picture of the sample's `val` alone."""
    (folder / "one").mkdir()
    shutil.copy(DATA / "sample" / "val" / "cat.webp", folder / "one")
    return folder / "one"


def value(document: dict[str, Any], row: str, column: str) -> float:
    return float(document["rows"][row][column]["value"])


def test_rows_and_columns_of_an_ab_palette(make: Any) -> None:
    document = evaluate(make(AB), "sample")
    assert {"model", "task", "data", "split", "n", "protocol", "rows"} == set(document)
    assert (document["model"], document["split"], document["n"]) == ("cells", "val", 2)
    assert set(document["rows"]) == SIMPLE
    for row, columns in document["rows"].items():
        assert set(columns) == COLUMNS | ({"loss", "accuracy"} if row == "ours" else set())
        for interval in columns.values():
            assert interval["low"] <= interval["value"] <= interval["high"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_an_rgb_palette_adds_the_counted_rows(make: Any) -> None:
    document = evaluate(make(RGB, stride=1), "cifar10")
    assert set(document["rows"]) == SIMPLE | {"majority", "lookup"}
    for row in ("ours", "majority", "lookup"):
        assert {"loss", "accuracy"} < set(document["rows"][row])
    assert document["n"] == 8
    assert document["protocol"]["counted"] == "31 pictures, counts smoothed by 0.1"


def test_without_a_train_split_nothing_is_counted(make: Any) -> None:
    folder = DATA / "sample" / "val"
    document = evaluate(make(RGB), str(folder))
    assert document["split"] == "whole"
    assert set(document["rows"]) == SIMPLE


def test_the_ends_of_the_scale(make: Any) -> None:
    document = evaluate(make(AB), "sample")
    assert value(document, "truth", "auc") == 1
    assert value(document, "truth", "ab_error") == 0
    assert value(document, "truth", "de2000") == 0
    assert value(document, "truth", "psnr") == pytest.approx(60)
    assert value(document, "grey", "colorfulness") == 0
    assert value(document, "truth", "colorfulness") > 10
    for row in SIMPLE:
        assert value(document, row, "light_error") < 0.5


def test_more_knowledge_scores_better(make: Any) -> None:
    colors = find("cifar10", "train").images
    assert colors is not None
    palette = Palette.learn(colors.reshape(-1, 3)[::7], 24)
    document = evaluate(make(palette, stride=1), "cifar10")
    error = {row: value(document, row, "ab_error") for row in document["rows"]}
    assert error["best"] < error["lookup"] < error["grey"]
    assert error["best"] < error["other"]
    assert value(document, "lookup", "loss") < value(document, "majority", "loss")


@pytest.mark.parametrize("palette", [AB, RGB], ids=["ab", "rgb"])
@pytest.mark.parametrize(("stride", "size"), [(1, 256), (1, 64), (4, 256), (4, 64)])
def test_ours_is_what_colorize_paints(
    make: Any, tmp_path: Path, palette: Palette, stride: int, size: int
) -> None:
    settings = {
        "temperature": 0.7,
        "chroma": 1.3,
        "class_weights": (1.0, 2.0, 0.5, 1.0),
        "working_size": size,
    }
    path = make(palette, stride=stride, slope=[0, 6, -6, 3], **settings)
    document = evaluate(path, str(one_picture(tmp_path)))
    truth = read_rgb(DATA / "sample" / "val" / "cat.webp", 256)
    painted = Painter(path).colorize(truth).array
    errors = np.hypot(*np.moveaxis(rgb8_to_lab(painted) - rgb8_to_lab(truth), -1, 0)[1:])
    assert value(document, "ours", "ab_error") == pytest.approx(errors.mean(dtype=float))
    assert value(document, "ours", "psnr") == psnr(painted, truth)
    assert value(document, "ours", "ab_error") > 1


def test_a_model_that_says_nothing(make: Any) -> None:
    # Equal logits: the loss is log K, and the picture is painted in the mean of all classes.
    document = evaluate(make(AB), "sample")
    assert value(document, "ours", "loss") == pytest.approx(np.log(4), abs=1e-6)


def test_class_weights_are_undone_in_the_loss(make: Any) -> None:
    weights = (0.5, 1.0, 2.0, 4.0)
    weighted = evaluate(make(AB, bias=np.log(weights), class_weights=weights), "sample")
    assert value(weighted, "ours", "loss") == pytest.approx(np.log(4), abs=1e-6)
    as_it_is = evaluate(make(AB, bias=np.log(weights)), "sample")
    assert value(as_it_is, "ours", "loss") != pytest.approx(np.log(4), abs=1e-2)


def test_mean_is_the_best_constant(make: Any) -> None:
    truth = [read_rgb(DATA / "sample" / "val" / name) for name in ("cat.webp", "flag.png")]
    pixels = np.concatenate([rgb8_to_lab(picture)[..., 1:].reshape(-1, 2) for picture in truth])
    mean = pixels.mean(axis=0, keepdims=True)
    document = evaluate(make(Palette("ab", mean)), "sample")
    # A model of one class that is that mean paints the same picture (but for float32's rounding).
    for column in COLUMNS:
        assert value(document, "ours", column) == pytest.approx(
            value(document, "mean", column), rel=1e-3
        )


def test_majority_paints_the_most_frequent_class(make: Any) -> None:
    horses = find("cifar10", "train").images
    assert horses is not None
    most = np.bincount(RGB.classes(horses).ravel()).argmax()
    sure = np.where(np.arange(4) == most, 50, 0)
    document = evaluate(make(RGB, stride=1, bias=sure), "cifar10")
    for column in COLUMNS:
        assert value(document, "ours", column) == pytest.approx(
            value(document, "majority", column), rel=1e-3
        )
    assert value(document, "ours", "accuracy") == value(document, "majority", "accuracy")


def test_other_is_the_next_picture_and_the_first_for_the_last(make: Any, tmp_path: Path) -> None:
    for name, rgb in (("a", [150, 110, 110]), ("b", [110, 110, 150]), ("c", [110, 150, 110])):
        pixels = np.full((8, 8, 3), rgb, np.uint8)
        write_strips(tmp_path / f"{name}.png", 8, 8, iter([pixels]))
    document = evaluate(make(AB), str(tmp_path))
    # The bound would reach 0 if any of them were given its own colors.
    assert document["rows"]["other"]["ab_error"]["low"] > 20
    colorful = [document["rows"][row]["colorfulness"]["value"] for row in ("other", "truth")]
    assert colorful[0] == pytest.approx(colorful[1], rel=0.2)


def test_one_picture_has_no_other(make: Any, tmp_path: Path) -> None:
    assert "other" not in evaluate(make(AB), str(one_picture(tmp_path)))["rows"]


@pytest.mark.parametrize(
    ("palette", "data", "total"), [(AB, "sample", 2 * 2), (RGB, "cifar10", 8 + 31 + 8)]
)
def test_every_reading_of_a_picture_is_told(
    make: Any, palette: Palette, data: str, total: int
) -> None:
    seen: list[tuple[int, int]] = []
    evaluate(make(palette), data, on_picture=lambda *numbers: seen.append(numbers))
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_a_damaged_train_split_is_an_error_and_not_a_table_without_its_rows(
    make: Any, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(DATA / "cifar-10-batches-bin", tmp_path / "cifar"))
    train = copy / "data_batch_1.bin"
    train.write_bytes(train.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_1\.bin"):
        evaluate(make(RGB), str(copy))
    train.unlink()
    assert set(evaluate(make(RGB), str(copy))["rows"]) == SIMPLE


def test_the_same_call_gives_the_same_document(make: Any) -> None:
    path = make(AB, slope=[0, 6, -6, 3])
    assert evaluate(path, "sample") == evaluate(path, "sample")


def test_cell_means_at_the_end_of_a_side() -> None:
    values = np.arange(15, dtype=np.float32).reshape(3, 5, 1)
    means = cell_means(values, 2)
    assert means.shape == (2, 3, 1)
    # The cells at the end repeat the edge.
    np.testing.assert_allclose(means[..., 0], [[3, 5, 6.5], [10.5, 12.5, 14]])
    uneven = cell_means(np.array([[[1.0], [2.0], [6.0], [8.0]]]), 3)
    np.testing.assert_allclose(uneven[..., 0], [[3, 8]])


def test_look_gives_the_class_of_the_mean_color(make: Any) -> None:
    red, blue = [200, 60, 40], [40, 60, 200]
    pixels = np.full((4, 8, 3), red, np.uint8)
    pixels[:, 4:] = blue
    scene = look(Painter(make(RGB)), pixels)
    np.testing.assert_array_equal(scene.classes, RGB.classes(np.array([[red, blue]])))
    np.testing.assert_array_equal(scene.grey, [[100, 100]])
    np.testing.assert_array_equal(scene.view, pixels)
    scene = look(Painter(make(AB)), pixels)
    np.testing.assert_allclose(scene.ab[0, 1], rgb8_to_lab(pixels)[0, 7, 1:], rtol=1e-5)
    np.testing.assert_array_equal(scene.classes, [[1, 3]])


def test_evaluating_needs_no_torch_and_no_pillow(make: Any) -> None:
    program = (
        "import sys; from limner.evaluate import evaluate; "
        f"evaluate({make(AB)!r}, {str(DATA / 'sample')!r}); "
        "print(sorted({'torch', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
