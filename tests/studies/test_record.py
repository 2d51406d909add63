"""A record is found again by what changes its run, and by nothing else."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from limner.errors import StudyError
from limner.palette import Palette
from limner.recipe import Recipe
from limner.studies import record
from limner.studies.record import Record, find_record, key, origin, pack, palette_of, read, unpack
from limner.studies.study import WRITEUP

CROPS = replace(WRITEUP, size=16, shuffle=True)  # where zoom, flip, tone and weights have an effect
SEGMENT = replace(CROPS, task="segment")
CHANGES: dict[str, tuple[Recipe, dict[str, object]]] = {  # a base, and one setting changed
    "task": (CROPS, {"task": "segment"}),
    "network": (WRITEUP, {"network": "cnn"}),
    "k": (WRITEUP, {"k": 5}),
    "NF": (WRITEUP, {"NF": 16}),
    "skips": (WRITEUP, {"skips": "input"}),
    "greys": (WRITEUP, {"greys": 256}),
    "width": (WRITEUP, {"width": 8}),
    "encoder": (WRITEUP, {"encoder": "timm/resnet18"}),
    "learn": (WRITEUP, {"learn": ("head",)}),
    "data": (WRITEUP, {"data": ("cifar10:cat",)}),
    "split": (WRITEUP, {"split": "val"}),
    "pictures": (WRITEUP, {"pictures": 20}),
    "holdout": (WRITEUP, {"holdout": 5}),
    "foreground": (SEGMENT, {"foreground": ("cat",)}),
    "palette": (WRITEUP, {"palette": "PALETTE"}),
    "size": (replace(WRITEUP, shuffle=True), {"size": 16}),
    "zoom": (CROPS, {"zoom": 0.5}),
    "flip": (CROPS, {"flip": True}),
    "move": (WRITEUP, {"move": 2}),
    "tone": (CROPS, {"tone": 0.5}),
    "scale": (WRITEUP, {"scale": 255.0}),
    "shift": (WRITEUP, {"shift": 0.5}),
    "views": (SEGMENT, {"views": 2}),
    "cache": (replace(SEGMENT, views=2), {"cache": "fp32"}),
    "loss_at": (SEGMENT, {"loss_at": "full"}),
    "class_weights": (SEGMENT, {"class_weights": "root"}),
    "shuffle": (WRITEUP, {"shuffle": True}),
    "batch": (WRITEUP, {"batch": 50}),
    "epochs": (WRITEUP, {"epochs": 24}),
    "steps": (replace(WRITEUP, epochs=0, steps=10), {"steps": 11}),
    "optimizer": (WRITEUP, {"optimizer": "adamw"}),
    "learning_rate": (WRITEUP, {"learning_rate": 2e-3}),
    "encoder_rate": (WRITEUP, {"encoder_rate": 0.1}),
    "warmup": (WRITEUP, {"warmup": 5}),
    "schedule": (WRITEUP, {"schedule": "cosine"}),
    "weight_decay": (WRITEUP, {"weight_decay": 0.1}),
    "ema": (WRITEUP, {"ema": 0.9}),
    "validate": (WRITEUP, {"validate": 5}),
    "seed": (WRITEUP, {"seed": 1}),
}


def test_every_setting_is_tried() -> None:
    assert set(CHANGES) == {field.name for field in fields(Recipe)} - {"name"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_changes_the_key(name: str, tmp_path: Path) -> None:
    base, change = CHANGES[name]
    if name == "palette":
        other = tmp_path / "other.json"
        Palette("rgb", np.array([[0, 0, 0], [255, 255, 255]])).save(other)
        change = {"palette": str(other)}
    assert key(replace(base, **change)) != key(base)  # type: ignore[arg-type]


def test_names_and_folders_do_not_change_the_key(tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    palette_of(WRITEUP).save(copy)
    renamed = replace(WRITEUP, name="other", palette=str(copy))
    assert key(renamed) == key(WRITEUP)
    assert key(replace(WRITEUP, data=("cifar10",))) == key(WRITEUP)


def test_the_colors_of_a_palette_change_the_key(tmp_path: Path) -> None:
    palette = palette_of(WRITEUP)
    colors = palette.colors.copy()
    colors[3, 1] += 1
    nearly = tmp_path / "nearly.json"
    Palette("rgb", colors).save(nearly)
    assert key(replace(WRITEUP, palette=str(nearly))) != key(WRITEUP)


def test_the_pictures_change_the_key(tmp_path: Path, every_category: str) -> None:
    folder = tmp_path / "cifar"
    folder.mkdir()
    keys = []
    for changed in ("", "data_batch_1.bin", "test_batch.bin"):
        for file in ("data_batch_1.bin", "test_batch.bin"):
            content = bytearray((Path(every_category) / file).read_bytes())
            content[7 * 3073 + 500] ^= changed == file  # one level of a horse's pixel
            (folder / file).write_bytes(content)
        record.fingerprint.cache_clear()
        keys.append(key(replace(WRITEUP, data=(str(folder),))))
    assert len(set(keys)) == 3
    record.fingerprint.cache_clear()
    assert keys[0] == key(replace(WRITEUP, data=(every_category,)))


def test_the_key_holds_no_setting_at_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a setting that recipes learn later leaves the old records where they are."""
    held: list[dict[str, object]] = []
    real = json.dumps

    def spy(document: dict[str, object], sort_keys: bool) -> str:
        held.append(document)
        return real(document, sort_keys=sort_keys)

    monkeypatch.setattr("limner.studies.record.json.dumps", spy)
    key(replace(WRITEUP, batch=50))
    assert set(held[0]) == {"k", "NF", "shuffle", "batch", "epochs", "palette", "data"}


def test_classes_are_packed_and_unpacked() -> None:
    random = np.random.default_rng(0)
    for shape in ((24, 32, 32), (1, 1), (0, 4)):
        classes = random.integers(0, 256, shape)
        document = json.loads(json.dumps(pack(classes)))
        np.testing.assert_array_equal(unpack(document), classes)
    flat = np.zeros((24, 32, 32), np.int64)
    assert len(pack(flat)["zlib"]) < flat.size / 100


def test_a_record_is_found_in_the_first_place_that_has_it(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    made = make_record(WRITEUP)
    places = [tmp_path / name for name in ("missing", "empty", "first", "second")]
    for place in places[1:]:
        place.mkdir()
    (places[2] / f"{made['key']}.json").write_text(json.dumps(made))
    (places[3] / f"{made['key']}.json").write_text("{}")
    assert find_record(places, made["key"]) == made
    assert find_record(places[:2], made["key"]) is None
    assert find_record(places, "0" * 16) is None


@pytest.mark.parametrize("content", ["", '{"format": 1', "[]", '{"format": 2}', '"format"'])
def test_a_damaged_record_is_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "0123.json"
    path.write_text(content)
    with pytest.raises(StudyError, match=r"0123\.json.*remove it") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_the_origin_is_told() -> None:
    told = origin()
    assert set(told) == {"limner", "torch", "machine", "commit"}
    assert "cores" in told["machine"]
