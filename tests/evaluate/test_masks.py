"""The scores of masks, against confusion matrices counted by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.errors import DataError
from limner.evaluate import evaluate
from limner.masks.labels import IGNORED
from limner.masks.scores import COVERED, score
from limner.masks.sets import GUESSES
from limner.palette import Palette

Make = Callable[..., str]  # the fixture `segmenting`
Write = Callable[..., Path]

SAID = {  # what the pictures show, and so what the model says of each
    "a": np.full((16, 16), 1),
    "b": np.full((8, 8), 2),
    "c": np.array([[1, 0]]).repeat(8, axis=0).repeat(4, axis=1),
}
TRUE = {
    "a": np.full((16, 16), 1),
    "b": np.array([[1], [2]]).repeat(4, axis=0).repeat(8, axis=1),
    "c": np.array([[IGNORED, 0]]).repeat(8, axis=0).repeat(4, axis=1),
}
# All three:    said 0  said 1  said 2
#   background      32
#   cat                    256      32
#   dog                             32    (cow: nowhere)
IOU = {"background": 1.0, "cat": 256 / 288, "dog": 32 / 64}


@pytest.fixture
def write(tmp_path: Path, labels: Palette) -> Write:
    """write(said, true, split) adds pictures and their masks to a set; returns its folder."""

    def write(
        said: dict[str, np.ndarray] = SAID, true: dict[str, np.ndarray] = TRUE, split: str = "val"
    ) -> Path:
        folder = tmp_path / "set"
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for name, classes in said.items():
            shown = Image.fromarray(labels.swatches()[classes])
            shown.save(folder / split / "images" / f"{name}.png")
            mask = Image.fromarray(true[name].astype(np.uint8))
            mask.save(folder / split / "masks" / f"{name}.png")
        (folder / "classes.txt").write_text("\n".join(labels.names))
        return folder

    return write


def values(row: dict[str, Any]) -> dict[str, float]:
    return {name: interval["value"] for name, interval in row["iou"].items()}


def test_the_form_of_the_document(segmenting: Make, write: Write) -> None:
    folder = write()
    document = evaluate(segmenting(), str(folder))
    common = ["model", "task", "data", "split", "n", "protocol"]
    assert list(document) == [*common, "pictures", "absent", "rows"]
    told = [document[key] for key in ("model", "task", "data", "split", "n")]
    assert told == ["nearest", "segment", str(folder), "val", 3]
    assert list(document["rows"]) == ["ours"]  # without a train split nothing is counted
    row = document["rows"]["ours"]
    assert list(row) == ["pixel_accuracy", "mean_iou", "mean_iou_covered", "iou"]
    for interval in (row["pixel_accuracy"], row["mean_iou"], *row["iou"].values()):
        assert list(interval) == ["value", "low", "high"]
        assert interval["low"] <= interval["value"] <= interval["high"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert evaluate(segmenting(), str(folder)) == document


def test_ious_come_from_the_sum_of_the_confusion_matrices(segmenting: Make, write: Write) -> None:
    document = evaluate(segmenting(), str(write()))
    row = document["rows"]["ours"]
    assert values(row) == pytest.approx(IOU)
    assert row["mean_iou"]["value"] == pytest.approx(np.mean(list(IOU.values())))
    assert row["pixel_accuracy"]["value"] == pytest.approx((256 + 32 + 32) / (256 + 64 + 32))
    # A mean of pictures' IoUs would be another number: cat has 1 in `a` and 0 in `b`.
    assert IOU["cat"] != pytest.approx((1 + 0) / 2, abs=0.1)


def test_classes_without_a_true_pixel_are_left_out_and_named(
    segmenting: Make, write: Write
) -> None:
    document = evaluate(segmenting(), str(write()))
    assert document["absent"] == ["cow"]
    assert document["pictures"] == {"background": 1, "cat": 2, "dog": 1, "cow": 0}
    # Said, but never true: left out too, though the pixels count as wrong ones.
    shown = {"a": np.full((8, 8), 3)}
    document = evaluate(segmenting(), str(write(shown, {"a": np.full((8, 8), 1)}, "test")), "test")
    assert document["absent"] == ["background", "dog", "cow"]
    assert values(document["rows"]["ours"]) == {"cat": 0}
    assert document["rows"]["ours"]["pixel_accuracy"]["value"] == 0


def test_mean_iou_covered_is_over_classes_in_enough_pictures(
    segmenting: Make, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(write())
    assert evaluate(segmenting(), folder)["rows"]["ours"]["mean_iou_covered"] is None
    monkeypatch.setattr("limner.masks.scores.COVERED", 2)
    covered = evaluate(segmenting(), folder)["rows"]["ours"]["mean_iou_covered"]
    assert covered["value"] == pytest.approx(IOU["cat"])


def test_thirty_pictures_are_enough(labels: Palette) -> None:
    tables = np.zeros((30, 4, 4), np.int64)
    tables[:, 0, 0] = 3
    tables[:, 0, 1] = 1
    tables[:29, 1, 1] = 5
    row = score(tables, labels)
    assert COVERED == 30
    assert row["mean_iou_covered"]["value"] == pytest.approx(3 / 4)
    assert row["mean_iou"]["value"] == pytest.approx((3 / 4 + 145 / 175) / 2)


def test_the_majority_is_the_commonest_class_of_the_train_split(
    segmenting: Make, write: Write
) -> None:
    # Ignored pixels are no class, though they are the most here.
    mask = np.array([[2, 2, IGNORED, IGNORED, IGNORED, 1]]).repeat(4, axis=0)
    write({"t": np.zeros((4, 6), int)}, {"t": mask}, "train")
    rows = evaluate(segmenting(), str(write()))["rows"]
    assert list(rows) == ["ours", "majority"]
    assert values(rows["ours"]) == pytest.approx(IOU)
    # 352 pixels are scored, 32 of them dogs; all are called dogs.
    assert rows["majority"]["pixel_accuracy"]["value"] == pytest.approx(32 / 352)
    assert values(rows["majority"]) == pytest.approx({"background": 0, "cat": 0, "dog": 32 / 352})
    assert rows["majority"]["mean_iou"]["value"] == pytest.approx(32 / 352 / 3)


@pytest.mark.parametrize("lacking", ["split", "mask"])
def test_without_a_train_split_and_its_masks_nothing_is_counted(
    segmenting: Make, write: Write, lacking: str
) -> None:
    folder = write()
    if lacking == "mask":
        write(split="train")
        (folder / "train" / "masks" / "b.png").unlink()
    document = evaluate(segmenting(), str(folder))
    assert list(document["rows"]) == ["ours"]
    assert values(document["rows"]["ours"]) == pytest.approx(IOU)
    told = "left out: the set has no train split with all its masks"
    assert document["protocol"]["majority"] == told
    assert "counted_hash" not in document["protocol"]


def test_intervals_are_of_pictures_drawn_again(segmenting: Make, write: Write) -> None:
    same = write(dict.fromkeys("abcdef", SAID["b"]), dict.fromkeys("abcdef", TRUE["b"]))
    dog = evaluate(segmenting(), str(same))["rows"]["ours"]["iou"]["dog"]
    assert dog["low"] == dog["value"] == dog["high"] == 0.5
    # Of a right and a wrong picture both are drawn, or one of them twice.
    half = score(np.array([[[4, 0], [0, 4]], [[0, 4], [4, 0]]]), named(2))
    assert half["pixel_accuracy"] == {"value": 0.5, "low": 0.0, "high": 1.0}
    assert half["mean_iou"] == {"value": pytest.approx(1 / 3), "low": 0.0, "high": 1.0}


def named(K: int) -> Palette:
    colors = 50 * np.arange(3 * K, dtype=np.float32).reshape(K, 3)
    return Palette("rgb", colors, tuple("abcd"[:K]))


def test_a_picture_that_ignores_all_is_no_picture_of_any_class(
    segmenting: Make, write: Write
) -> None:
    nothing = np.full((16, 16), IGNORED)
    folder = write({"a": SAID["a"], "b": SAID["b"]}, {"a": nothing, "b": TRUE["b"]})
    document = evaluate(segmenting(), str(folder))  # drawn twice, `a` gives no score at all
    assert document["pictures"] == {"background": 0, "cat": 1, "dog": 1, "cow": 0}
    assert values(document["rows"]["ours"]) == {"cat": 0, "dog": 0.5}


def test_the_mask_is_scored_at_the_pictures_own_size(segmenting: Make, write: Write) -> None:
    """A picture is seen at 64 pixels of its 640, and told at 640."""
    large = np.array([[1, 2], [2, 0]]).repeat(320, axis=0).repeat(320, axis=1)
    thin = large.copy()
    thin[100:101] = 3  # a row of pixels that the network cannot see
    document = evaluate(segmenting(), str(write({"a": large}, {"a": thin})))
    row = document["rows"]["ours"]
    assert row["iou"]["cow"]["value"] == 0
    assert 0.98 < row["pixel_accuracy"]["value"] <= 1 - 640 / 640**2
    assert document["protocol"]["working_size"] == 64


def test_a_foreground_models_classes_are_made_of_the_sets(
    segmenting: Make, write: Write, labels: Palette
) -> None:
    # Of the pictures' colors, black is nearest to its background and all others to its dog.
    binary = Palette("rgb", np.array([[0, 0, 0], [90, 90, 0]], np.float32), ("background", "dog"))
    model = segmenting(binary, recipe={"foreground": ["dog"]})
    document = evaluate(model, str(write()))
    assert document["pictures"] == {"background": 3, "dog": 1}
    # The set's cats are background, 288 pixels of it, and called dogs.
    row = document["rows"]["ours"]
    assert values(row) == pytest.approx({"background": 32 / 320, "dog": 32 / 320})
    assert row["pixel_accuracy"]["value"] == pytest.approx(64 / 352)
    # A set that already has the two classes is taken as it is.
    ready = write({"b": SAID["b"]}, {"b": TRUE["b"] - 1}, "test")
    (ready / "classes.txt").write_text("background\ndog")
    document = evaluate(model, str(ready), "test")
    assert values(document["rows"]["ours"]) == {"background": 0, "dog": 0.5}


@pytest.mark.parametrize(
    "names", ["background\ncat\ndog\nhorse", "background\ndog\ncat\ncow", "background\ncat\ndog"]
)
def test_a_set_of_other_classes_is_one_line(segmenting: Make, write: Write, names: str) -> None:
    folder = write()
    (folder / "classes.txt").write_text(names)
    with pytest.raises(DataError, match=r"its classes are .*nearest says .*cow") as told:
        evaluate(segmenting(), str(folder))
    assert "\n" not in str(told.value)


def test_masks_of_another_size_or_that_ignore_all_are_one_line(
    segmenting: Make, write: Write
) -> None:
    folder = write({"a": SAID["a"]}, {"a": np.zeros((16, 15))})
    with pytest.raises(DataError, match=r"a\.png: 15 x 16 pixels .* its picture 16 x 16"):
        evaluate(segmenting(), str(folder))
    write({"a": SAID["a"]}, {"a": np.full((16, 16), IGNORED)}, "test")
    with pytest.raises(DataError, match="ignore all pixels"):
        evaluate(segmenting(), str(folder), "test")


def test_every_reading_of_a_picture_is_told(segmenting: Make, write: Write) -> None:
    write({"t": SAID["a"]}, {"t": TRUE["a"]}, "train")
    seen: list[tuple[int, int]] = []
    evaluate(segmenting(), str(write()), on_picture=lambda *numbers: seen.append(numbers))
    assert seen == [(done, 4) for done in range(1, 5)]


def test_a_models_own_masks_are_no_measure(segmenting: Make, write: Write) -> None:
    folder = write()
    (folder / GUESSES).write_text('{"model": "m", "terms": "guesses of m"}')
    with pytest.raises(DataError, match="masks that a model made, which show how like it"):
        evaluate(segmenting(), str(folder))
