"""B4: arms, edges, tables and figures of the study of batch sizes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from limner import drawing
from limner.studies.batch_size.edges import edge_table, told_of_edges
from limner.studies.batch_size.gap import KINDS, SIZES, of_kind
from limner.studies.batch_size.study import STUDY, answer, by_epoch, plan
from limner.studies.class_colors import brightness_error
from limner.studies.record import Record
from limner.studies.scoring import Truth
from limner.studies.study import WRITEUP, Records, Setting

MakeRecord = Callable[..., Record]
MakeRecords = Callable[..., Records]


def test_the_arms_are_those_of_the_finished_runs(setting: Setting) -> None:
    arms = plan(setting)
    assert set(arms) == {
        *(f"{network}, {size}, equal epochs" for network in ("unet", "cnn") for size in SIZES),
        *(f"unet, {size}, {kind}" for size in SIZES for kind in ("scaled rate", "equal updates")),
    }
    assert all(len(recipes) == 3 for recipes in arms.values())
    equal = arms["unet, 1000, equal updates"][2]  # 31 horses: an epoch is one update at batch 100
    assert (equal.batch, equal.epochs, equal.steps, equal.seed) == (1000, 0, 25, 2)
    assert equal.validate == 1
    assert arms["unet, 100, equal updates"] == arms["unet, 100, equal epochs"]
    assert arms["unet, 50, scaled rate"][0].learning_rate == pytest.approx(5e-4)
    assert arms["unet, 1000, scaled rate"][0].learning_rate == pytest.approx(1e-2)


@pytest.mark.parametrize(
    ("edges", "everywhere", "words"),
    [
        (15.0, 12.5, "the smaller batch is finer, at edges above all"),
        (13.5, 12.5, "at edges no more than everywhere"),
        (13.0, 12.5, "finer at edges is not supported"),
        (12.0, 12.5, "finer at edges is not supported"),
    ],
)
def test_finer_at_edges(
    edges: float, everywhere: float, words: str,
    setting: Setting, make_records: MakeRecords, truth: Truth,
) -> None:  # fmt: skip
    arms = plan(setting)
    scores = {name: {"ab_error_edges": [13.0, 13.1, 12.9], "ab_error": 12.0} for name in arms}
    scores["unet, 1000, equal epochs"] = {
        "ab_error_edges": [edges, edges + 0.15, edges - 0.1], "ab_error": everywhere,
    }  # fmt: skip
    records = make_records(arms, scores)
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    epochs, updates = told_of_edges(kinds, truth)
    assert words in epochs.partition("brightness")[0]
    assert "not supported" in updates.partition("brightness")[0]


def test_brightness_at_edges_is_that_of_the_kept_pictures(
    setting: Setting, make_record: MakeRecord, truth: Truth
) -> None:
    """The larger batch is as good as can be but at edges, where it says the darkest class."""
    blurred = np.where(truth.edges, 0, truth.classes)
    records: Records = {
        name: tuple(
            make_record(r, pictures=blurred if r.batch == 1000 else truth.classes) for r in recipes
        )
        for name, recipes in plan(setting).items()
    }
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    rows = {row[0]: row for row in edge_table(kinds, truth).rows}
    at_edges = brightness_error(blurred, truth, edges=True)
    assert rows["1000, equal epochs"][4] == f"{at_edges:.2f} ± 0.00"
    own = brightness_error(truth.classes, truth, edges=True)
    assert own < at_edges - 20
    assert rows["50, scaled rate"][4] == f"{own:.2f} ± 0.00"


def test_curves_count_passes_through_the_pictures(make_record: MakeRecord) -> None:
    runs = [make_record(replace(WRITEUP, batch=10, epochs=2), validation=[2.0, 1.5])]
    steps, losses = by_epoch(runs, "validation")
    assert list(steps) == pytest.approx([50 * 10 / 31, 100 * 10 / 31])
    assert losses == [[2.0, 1.5]]


def test_the_whole_answer(setting: Setting, make_records: MakeRecords) -> None:
    losses = {50: 1.32, 100: 1.36, 500: 1.52, 1000: 1.63}
    scores = {f"unet, {size}, equal epochs": {"loss": loss} for size, loss in losses.items()}
    found = answer(setting, make_records(plan(setting), scores))
    assert "each step to a larger batch is worse" in found.verdict[0]
    assert "no step could be told" in found.verdict[1]
    assert any("palette is limner's own" in line for line in found.verdict)
    rows = {row[0]: row for row in found.tables["sizes"].rows}
    assert rows[50][1:3] == ("1.32, 50 %", "1.320 ± 0.012, 0.470 ± 0.000")
    assert list(rows) == [*SIZES, "majority class", "grey look-up", "best possible"]
    names = [row[0] for row in found.tables["scores"].rows]
    assert names[-3:] == ["majority class", "grey look-up", "best possible"]
    assert found.facts["gaps"]["50 to 1000"]["equal epochs"] == pytest.approx([0.31] * 3)
    assert {"unet-training-loss", "cnn-validation-loss", "pictures-equal-epochs"} <= set(
        found.figures
    )
    assert drawing.render(found.figures["unet-training-loss"], "png").startswith(b"\x89PNG")
    assert STUDY.answer is answer and STUDY.questions == ("B4",)


def test_a_quick_answer_is_no_finding(setting: Setting, make_records: MakeRecords) -> None:
    quick = replace(setting, quick=True)
    found = answer(quick, make_records(plan(quick), {}))
    assert "quick look" in found.verdict[-1]
    assert all("no finding" in line for line in found.verdict[:-2])
