"""What twice the side costs: the counts are the account's, the verdict follows the measures."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner import drawing
from limner.errors import StudyError
from limner.studies import timing
from limner.studies.image_size import study as image_size
from limner.studies.image_size.study import Count, Counts, Measures, concluded
from limner.studies.study import WRITEUP, Answer, Setting
from limner.studies.timing import Measured

BATCH = 100
KINDS = (("CIFAR-10", 32), ("CIFAR-10, upsampled", 64), ("photographs", 32), ("photographs", 64))
SMALL = Count(100, 1000, 900, (24, 32, 32), 5000, 9000)
LARGE = Count(100, 4000, 3700, (24, 64, 64), 20_000, 33_000)
COUNTS: Counts = {(name, side): one for name in ("unet", "cnn") for side, one in
                  ((32, SMALL), (64, LARGE))}  # fmt: skip

Timed = Callable[..., Measures]


def measures(ratio: float, real: float = 1.0, photographs: bool = True) -> Measures:
    """Processes with steps of 0.1 s ± 2 % at 32 px, `ratio` times as long at 64 px, and photographs
    `real` times as long as that; 100 MB, and 300 MB."""
    spread = np.array([0.98, 0.99, 1.0, 1.01, 1.02])
    made = {}
    for name in ("unet", "cnn"):
        for kind, side in KINDS if photographs else KINDS[:2]:
            longer = (ratio if side == 64 else 1.0) * (real if kind == "photographs" else 1.0)
            grown = 300_000_000 if side == 64 else 100_000_000
            medians = (0.1 * longer * spread).tolist()
            made[name, kind, side] = Measured(medians, [grown] * len(medians))
    return made


def said(answer: Answer, part: str) -> str:
    """The one line of the verdict on the UNet that has this part."""
    (line,) = [line for line in answer.verdict if line.startswith("A3 (unet)") and part in line]
    return line


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (4.0, "as the connections say"),
        (5.0, "more than the connections say"),
        (3.0, "less than the connections say"),
    ],
)
def test_the_verdict_follows_the_seconds(ratio: float, words: str) -> None:
    line = said(concluded(COUNTS, measures(ratio), 0.0, BATCH), "training step")
    assert f": {words} (4);" in line
    assert f"{ratio:.2f} times as long" in line
    assert "3.00 times the memory" in line


def test_a_busy_machine_finds_nothing() -> None:
    answer = concluded(COUNTS, measures(5.0), 1.7, BATCH)
    assert "no finding" in said(answer, "training step")
    assert "no finding" in said(answer, "photographs")
    assert "1.7 other processes" in answer.verdict[-1]


def test_photographs_beside_upsampled_pictures() -> None:
    alike = said(concluded(COUNTS, measures(4.0), 0.0, BATCH), "photographs")
    assert "no difference that can be told" in alike
    apart = said(concluded(COUNTS, measures(4.0, real=1.5), 0.0, BATCH), "photographs")
    assert "1.50 times as long" in apart
    without = concluded(COUNTS, measures(4.0, photographs=False), 0.0, BATCH)
    assert "not at hand" in without.verdict[-1]


def test_the_counts_are_told_as_they_are() -> None:
    line = said(concluded(COUNTS, measures(4.0), 0.0, BATCH), "parameters")
    assert "unchanged (100 and 100)" in line
    assert "4 times with those to the padding" in line
    other = {**COUNTS, ("unet", 64): replace(LARGE, parameters=101, connections=4100)}
    line = said(concluded(other, measures(4.0), 0.0, BATCH), "parameters")
    assert "CHANGED" in line
    assert "4.1 times" in line


def test_a_system_that_does_not_tell_its_memory() -> None:
    silent = {key: replace(one, grown=[None] * 5) for key, one in measures(4.0).items()}
    answer = concluded(COUNTS, silent, 0.0, BATCH)
    assert "does not tell its memory" in said(answer, "training step")
    assert {row[-2] for row in answer.tables["measured"].rows} == {"-"}


def test_tables_hold_the_measures_and_the_figure_is_drawn() -> None:
    answer = concluded(COUNTS, measures(4.0), 0.0, BATCH)
    first = answer.tables["measured"].rows[0]
    assert first[:6] == ("unet", "CIFAR-10", 32, "100.0", "98.0 to 102.0", 5)
    assert answer.tables["counts"].rows[1] == (
        "unet", 64, 100, 4000, 3700, "24 x 64 x 64", 20_000,
    )  # fmt: skip
    assert drawing.render(answer.figures["ratios"], "png")


def test_the_counts_are_those_of_the_networks() -> None:
    found = image_size.count(WRITEUP, 32)
    assert (found.parameters, found.connections, found.links) == (112_344, 18_800_640, 17_133_024)
    assert found.output == (24, 32, 32)
    cnn = image_size.count(replace(WRITEUP, network="cnn"), 32)
    assert (cnn.parameters, cnn.connections, cnn.links) == (86_784, 15_630_336, 14_304_640)


def test_pictures_of_every_kind_have_their_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting("cifar10", True, tmp_path)
    assert set(image_size.pictures(setting)) == set(KINDS[:2])  # the sample data have no photos
    monkeypatch.setattr(image_size, "PHOTOGRAPHS", "sample")
    given = image_size.pictures(setting)
    assert set(given) == set(KINDS)
    for (_, side), rgb in given.items():
        assert rgb.shape[1:] == (side, side, 3)
        assert rgb.dtype == np.uint8


def test_a_step_is_measured_in_a_process_of_its_own() -> None:
    recipe = replace(WRITEUP, network="cnn", NF=4)
    found = timing.measured(recipe, np.zeros((64, 32, 32, 3), np.uint8), 3)
    assert len(found.medians) == timing.PROCESSES
    assert min(found.medians) > 0
    kept = image_size.count(replace(recipe, batch=64), 32).saved
    assert all(grown is None or grown > kept for grown in found.grown)  # Linux alone tells


def test_an_idle_answer_is_not_replaced_by_a_busy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "beside", lambda: 1.7)
    assert timing.check_idle(tmp_path) == 1.7  # nothing is lost
    answer = tmp_path / "result.json"
    for before, refused in ((0.1, True), (2.0, False)):
        answer.write_text(json.dumps({"study": "image-size", "facts": {"load": before}}))
        if refused:
            with pytest.raises(StudyError, match=r"1\.7 other processes run.*timed beside 0\.1"):
                timing.check_idle(tmp_path)
        else:
            assert timing.check_idle(tmp_path) == 1.7


def test_nothing_is_trained(tmp_path: Path) -> None:
    assert image_size.plan(Setting("cifar10", False, tmp_path)) == {}
