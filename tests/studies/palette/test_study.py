"""How many colors: the verdict follows the records' errors, the rest is counted in each palette."""

from collections.abc import Callable
from dataclasses import replace
from math import log

import numpy as np
import pytest
from matplotlib.figure import Figure

from limner import drawing
from limner.palette import Palette
from limner.studies import answers, figures
from limner.studies.palette.arms import arms_of, picture_figure, shown
from limner.studies.palette.study import AB, RGB, answer, plan
from limner.studies.study import Answer, Records, Setting

MakeRecords = Callable[..., Records]
Scores = dict[str, dict[str, float | list[float]]]

draw = figures.pictures  # of many pictures takes seconds


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting("cifar10", False, tmp_path_factory.mktemp("palette"))


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "pictures", lambda rows: Figure())


def answered(setting: Setting, make_records: MakeRecords, scores: Scores) -> Answer:
    """The answer to records of all arms with these scores: ab errors of 12.5, dE2000 of 9.5."""
    return answer(setting, make_records(plan(setting), scores))


def line(found: Answer, *parts: str) -> str:
    """The one line of the verdict that holds all of these."""
    (said,) = [one for one in found.verdict if all(part in one for part in parts)]
    return said


def test_the_arms_are_those_of_the_finished_runs(setting: Setting) -> None:
    arms = plan(setting)
    assert list(arms) == [*(f"rgb, {K}" for K in RGB), *(f"ab, {K}" for K in AB)]
    assert arms["rgb, 24"][0].palette == "horse24"
    assert [recipe.seed for recipe in arms["ab, 48"]] == [0, 1, 2]
    for space, K in (("rgb", 8), ("rgb", 96), ("ab", 24)):
        palette = Palette.load(arms[f"{space}, {K}"][0].palette)
        assert (palette.space, len(palette)) == (space, K)
    again = plan(setting)  # a palette that is there is not learned anew
    assert again == arms


@pytest.mark.parametrize(
    ("many", "words"),
    [
        ([11.0, 11.1, 11.2], "-1.40 ± 0.00 (better)"),
        ([13.0, 13.1, 13.2], "0.60 ± 0.00 (worse)"),
        ([14.4, 12.5, 10.6], "(no change that can be told)"),
    ],
)
def test_more_colors(
    many: list[float], words: str, setting: Setting, make_records: MakeRecords
) -> None:
    scores: Scores = {
        "rgb, 96": {"ab_error": many}, "rgb, 8": {"ab_error": [12.4, 12.5, 12.6]},
    }  # fmt: skip
    said = line(answered(setting, make_records, scores), "From 8 to 96 colors")
    errors = said.partition(" dE2000 ")[0]
    assert words in errors


@pytest.mark.parametrize(
    ("ab", "words"),
    [(11.5, "ab is better"), (13.5, "RGB is better"), ([14.0, 12.4, 11.3], "not told apart")],
)
def test_ab_beside_rgb(
    ab: float | list[float], words: str, setting: Setting, make_records: MakeRecords
) -> None:
    scores: Scores = {name: {"ab_error": 12.5} for name in plan(setting)}
    scores["ab, 48"] = {"ab_error": ab}
    found = answered(setting, make_records, scores)
    assert words in line(found, "48 colors in ab")
    assert "not told apart" in line(found, "24 colors in ab")


def test_beside_the_lookup(setting: Setting, make_records: MakeRecords) -> None:
    arms = arms_of(setting, make_records(plan(setting), {}))
    looked = {arm.name: arm.lookup("ab_error") for arm in arms}
    scores: Scores = {name: {"ab_error": value - 1} for name, value in looked.items()}
    scores["rgb, 8"] = {"ab_error": looked["rgb, 8"] + 1}
    scores["rgb, 48"] = {"ab_error": [looked["rgb, 48"] + away for away in (-1, 1, 0.2)]}
    said = line(answered(setting, make_records, scores), "beside the grey look-up's")
    below, above, unclear = (
        said.index(word) for word in ("below the look-up's", "above it", "cannot be told")
    )
    assert above < said.index("rgb, 8 (1.00 ± 0.01)") < below  # in the order of the arms
    assert below < said.index("rgb, 16 (-1.00 ± 0.01)") < said.index("ab, 48 (-1.00") < unclear
    assert unclear < said.index("rgb, 48 (0.07")


def test_one_seed_is_no_finding(setting: Setting, make_records: MakeRecords) -> None:
    quick = replace(setting, quick=True)
    records = {
        name: runs[:1]
        for name, runs in make_records(plan(setting), {"rgb, 96": {"ab_error": 5.0}}).items()
    }
    found = answer(quick, records)
    for part in ("From 8 to 96", "24 colors in ab", "48 colors in ab"):
        assert "one seed, no finding" in line(found, part)
    assert "from one seed nothing is found for" in line(found, "beside the grey look-up's")
    assert "8 to 16" in (steps := line(found, "Step by step")) and "one seed" in steps
    assert "A quick look" in found.verdict[-1]


def test_step_by_step(setting: Setting, make_records: MakeRecords) -> None:
    """What is gained is gained by 16 colors, and the last step is too wide to tell."""
    scores: Scores = {name: {"ab_error": [12.4, 12.5, 12.6]} for name in plan(setting)}
    scores["rgb, 8"] = {"ab_error": [13.0, 13.1, 13.2]}
    scores["rgb, 96"] = {"ab_error": [12.0, 12.5, 13.1]}
    said = line(answered(setting, make_records, scores), "Step by step")
    assert "8 to 16 -0.60 ± 0.00 (better), 16 to 24 +0.00 ± 0.00 (not told apart)" in said
    assert said.endswith("48 to 96 +0.03 ± 1.12 (not told apart).")


def test_the_limit_is_the_reached_error_less_the_best(
    setting: Setting, make_records: MakeRecords
) -> None:
    flat: Scores = {name: {"ab_error": 12.5} for name in plan(setting)}
    records = make_records(plan(setting), flat)
    best = {arm.name: arm.best("ab_error") for arm in arms_of(setting, records)}
    said = line(answer(setting, records), "less that of the true class")
    assert f"{12.5 - best['rgb, 48']:.2f} ± 0.01 with 48 colors" in said
    assert best["rgb, 96"] < best["rgb, 48"] < best["rgb, 8"]  # more colors reach nearer
    assert best["ab, 48"] < best["rgb, 48"]  # and none is spent on brightness


def test_tables_hold_the_records_figures(setting: Setting, make_records: MakeRecords) -> None:
    scores: Scores = {"rgb, 16": {"loss": [1.0, 1.1, 1.2], "ab_error": [11.0, 11.2, 11.4]}}
    found = answered(setting, make_records, scores)
    errors = {row[0]: row for row in found.tables["errors"].rows}
    assert errors["rgb, 16"][3] == "11.20 ± 0.50"
    rows = [row for row in found.tables["scores"].rows if row[0] == "rgb, 16"]
    assert [row[1] for row in rows] == ["UNet", "majority class", "grey look-up", "best possible"]
    assert rows[0][4] == "1.100 ± 0.248"
    assert rows[0][-1] == f"{1.1 - log(16):.3f} ± 0.248"
    best = answers.simple_answers(
        "cifar10", Palette.load(setting.folder / "palettes/rgb16.json"), 0
    )
    assert errors["rgb, 16"][2] == f"{best['best possible']['ab_error']:.2f}"
    assert errors["rgb, 16"][4] == f"{best['grey look-up']['ab_error']:.2f}"
    assert len(found.tables["scores"].rows) == 4 * len(errors)
    assert answers.PALETTE_NOTE in found.tables["scores"].note


def test_figures_are_drawn(
    setting: Setting, make_records: MakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = answered(setting, make_records, {})
    assert drawing.render(found.figures["errors"], "png")
    monkeypatch.setattr(figures, "pictures", draw)
    few = {name: runs for name, runs in make_records(plan(setting), {}).items() if "24" in name}
    monkeypatch.setattr("limner.studies.palette.arms.PICTURES", 2)
    drawn = picture_figure(setting, arms_of(setting, few))
    assert drawing.render(drawn, "png")


def test_classes_of_an_ab_palette_keep_the_light() -> None:
    palette = Palette("ab", np.array([[0, 0], [20, 10]], np.float32))
    rgb = np.repeat(np.arange(0, 256, 17, dtype=np.uint8)[None, None, :, None], 3, axis=-1)
    gray = shown(palette, np.zeros((1, 1, 16), np.uint8), rgb)
    assert np.array_equal(gray, rgb)
    assert not np.array_equal(shown(palette, np.ones((1, 1, 16), np.uint8), rgb), rgb)
