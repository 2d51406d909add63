"""What all studies show: the records' figures beside answers that need no network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from limner.card import Card
from limner.dataset import find
from limner.errors import StudyError
from limner.evaluate import evaluate
from limner.palette import Palette
from limner.recipe import Recipe
from limner.studies import answers
from limner.studies.record import Record, palette_of
from limner.studies.seeds import over_seeds, told
from limner.studies.study import WRITEUP, Records, pixels, seeded

SPEC = "cifar10:horse"
HORSE24 = palette_of(WRITEUP)
ARMS = {"unet": seeded(WRITEUP, 3), "cnn": seeded(replace(WRITEUP, network="cnn"), 1)}
LOSSES = {"unet": {"loss": [1.31, 1.35, 1.39], "colors": [20.0, 21.0, 22.0]}}


@pytest.fixture
def records(make_records: Callable[..., Records]) -> Records:
    return make_records(ARMS, LOSSES)


def test_a_table_of_scores_says_what_the_records_say(records: Records) -> None:
    table = answers.scores_table("Scores", records, SPEC, "a note")
    assert (table.title, table.note) == ("Scores", "a note")
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert list(rows) == ["unet", "cnn", "majority class", "grey look-up", "best possible"]
    assert rows["unet"]["loss, nats"] == told(over_seeds([1.31, 1.35, 1.39]), 3)
    assert rows["unet"]["loss, nats"].startswith("1.350 ± ")
    assert rows["unet"]["colors used"] == told(over_seeds([20, 21, 22]), 0)
    assert rows["cnn"]["accuracy"] == "0.470"  # one seed has no interval
    assert (rows["unet"]["seeds"], rows["cnn"]["seeds"]) == (3, 1)
    assert rows["unet"]["parameters"] == 112_344
    assert rows["grey look-up"]["seeds"] == "-"
    for row in rows.values():
        assert set(row) == {"", "seeds", "parameters", *(t for t, _ in answers.COLUMNS.values())}


def test_the_simple_answers_by_hand() -> None:
    train, val = (find(SPEC, split).images for split in ("train", "val"))
    assert train is not None and val is not None
    counts = np.full((256, 24), 0.1)
    classes = HORSE24.classes(train)
    grey = np.rint(train.mean(axis=-1)).astype(int)
    np.add.at(counts, (grey.ravel(), classes.ravel()), 1)
    table = counts / counts.sum(axis=1, keepdims=True)
    true, seen = HORSE24.classes(val), np.rint(val.mean(axis=-1)).astype(int)
    simple = answers.simple_answers(SPEC, HORSE24, 0)
    lookup = simple["grey look-up"]
    assert lookup["loss"] == pytest.approx(-np.log(table[seen, true]).mean(), abs=1e-5)
    assert lookup["accuracy"] == pytest.approx((table[seen].argmax(axis=-1) == true).mean())
    prior = counts.sum(axis=0) / counts.sum()
    majority = simple["majority class"]
    assert majority["loss"] == pytest.approx(-np.log(prior[true]).mean(), abs=1e-5)
    assert majority["accuracy"] == pytest.approx((true == prior.argmax()).mean())
    best = simple["best possible"]
    assert (best["loss"], best["accuracy"], best["accuracy_alike"]) == (0, 1, 1)
    assert 0 < best["ab_error"] < lookup["ab_error"]


def test_the_first_pictures_alone_are_counted() -> None:
    few = answers.simple_answers(SPEC, HORSE24, 4)["grey look-up"]
    assert few["loss"] > answers.simple_answers(SPEC, HORSE24, 0)["grey look-up"]["loss"]
    assert few != answers.simple_answers(SPEC, HORSE24, 5)["grey look-up"]
    assert answers.lookup_of(SPEC, HORSE24, 31) is not answers.lookup_of(SPEC, HORSE24, 30)


def test_the_rows_are_those_of_limner_evaluate(tmp_path: Path) -> None:
    rows = evaluate(any_model(HORSE24, tmp_path), SPEC)["rows"]
    simple = answers.simple_answers(SPEC, HORSE24, 0)
    for ours, theirs in (("grey look-up", "lookup"), ("majority class", "majority")):
        for column in ("loss", "accuracy"):
            expected = rows[theirs][column]["value"]
            assert simple[ours][column] == pytest.approx(expected, abs=1e-5)
    for column in ("ab_error", "de2000"):
        expected = rows["lookup"][column]["value"]
        assert simple["grey look-up"][column] == pytest.approx(expected, abs=1e-3)
        expected = rows["best"][column]["value"]
        assert simple["best possible"][column] == pytest.approx(expected, abs=1e-3)


def any_model(palette: Palette, folder: Path) -> str:
    """A model file of that palette and of stride 1; what it says does not matter."""
    K, floats = len(palette), TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Conv", ["light", "w"], ["logits"])],
        "any",
        [helper.make_tensor_value_info("light", floats, ["N", 1, "H", "W"])],
        [helper.make_tensor_value_info("logits", floats, ["N", K, "H", "W"])],
        [helper.make_tensor("w", floats, [K, 1, 1, 1], np.zeros(K, np.float32))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = Card(
        name="any", task="colorize", network={"name": "none", "arguments": {}}, input="mean",
        working_size=32, stride=1, multiple=1, palette=palette,
    )  # fmt: skip
    helper.set_model_props(model, {"limner": card.to_json()})
    onnx.save(model, folder / "any.onnx")
    return str(folder / "any.onnx")


def test_rows_of_pictures(make_record: Callable[..., Record]) -> None:
    said = np.arange(8 * 32 * 32).reshape(8, 32, 32) % 24
    records = (make_record(WRITEUP, pictures=said), make_record(replace(WRITEUP, seed=1)))
    rows = answers.picture_rows({"unet": records}, SPEC, count=5)
    assert list(rows) == ["input", "truth", "truth in the palette", "unet"]
    assert {row.shape for row in rows.values()} == {(5, 32, 32, 3)}
    truth = find(SPEC, "val").images
    assert truth is not None
    np.testing.assert_array_equal(rows["truth"], truth[:5])
    np.testing.assert_array_equal(rows["input"][..., 1], np.rint(truth[:5].mean(axis=-1)))
    np.testing.assert_array_equal(rows["unet"], HORSE24.swatches()[said[:5]])
    # Being in the palette twice changes nothing more.
    again = HORSE24.swatches()[HORSE24.classes(rows["truth in the palette"])]
    np.testing.assert_array_equal(again, rows["truth in the palette"])


def test_a_curve_has_a_line_a_seed(records: Records) -> None:
    steps, lines = answers.curve(records["unet"], "validation", "loss")
    assert steps == [50 * epoch for epoch in range(1, 26)]
    assert [line[-1] for line in lines] == pytest.approx([1.31, 1.35, 1.39])
    assert len(answers.curve(records["cnn"], "training", "loss")[1]) == 1


def test_values_are_those_of_the_first_set(make_record: Callable[..., Record]) -> None:
    both = replace(WRITEUP, data=(SPEC, "cifar10:cat"))
    made = make_record(both, sets={SPEC: {"loss": 1.2}, "cifar10:cat": {"loss": 1.6}})
    assert answers.values([made], "loss") == [1.2]


def test_photographs_of_any_size_are_no_data_of_a_study() -> None:
    with pytest.raises(StudyError, match=r"sample: .*cifar10") as caught:
        pixels(find("sample", "train"))
    assert "\n" not in str(caught.value)
    assert pixels(find("cifar10", "val")).shape == (8, 32, 32, 3)


def test_recipes_of_an_ab_palette_have_dashes(
    make_record: Callable[..., Record], tmp_path: Path
) -> None:
    file = tmp_path / "ab.json"
    Palette("ab", np.array([[0, 0], [30, 20], [-20, 30], [10, -40]])).save(file)
    recipe: Recipe = replace(WRITEUP, palette=str(file))
    table = answers.scores_table("Scores", {"ab": (make_record(recipe),)}, SPEC)
    column = table.header.index("accuracy among like brightness")
    assert [row[column] for row in table.rows] == ["-"] * 4
