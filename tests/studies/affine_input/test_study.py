"""A4: the verdict follows the records' figures, and the construction is an experiment."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from limner import drawing
from limner.recipe import Recipe
from limner.studies import figures
from limner.studies.affine_input import faint, twins
from limner.studies.affine_input import study as affine_input
from limner.studies.affine_input.beside import equal_share, equal_to_twin, losses
from limner.studies.affine_input.study import PAIRS, answer, plan
from limner.studies.record import Record
from limner.studies.seeds import difference, unpaired
from limner.studies.study import Arms, Records, Setting
from limner.studies.verdicts import weighed

MakeRecords = Callable[..., Records]
MakeRecord = Callable[..., Record]
Classes = NDArray[np.uint8]


# The experiments without training are the same in every answer, and a figure of many pictures
# takes seconds: each is made once.
once = cache(twins.constructions)
faint_once = cache(lambda recipe, held: faint.faint(recipe, held))
draw = figures.pictures


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer pictures for the experiments without training, and none drawn."""
    monkeypatch.setattr(twins, "SETTLING", 8)
    monkeypatch.setattr(twins, "COMPARED", 2)
    monkeypatch.setattr(twins, "LOOKED_AT", 8)
    monkeypatch.setattr(affine_input, "constructions", once)
    monkeypatch.setattr(affine_input, "faints", few_faints)
    monkeypatch.setattr(figures, "pictures", lambda rows: Figure())


def few_faints(recipes: Sequence[Recipe]) -> faint.Faints:
    return {held: [faint_once(recipe, held) for recipe in recipes] for held in (False, True)}


def with_loss(make_records: MakeRecords, arms: Arms, losses: dict[str, float]) -> Records:
    """Records of all arms at a loss of 1.4 but for these; seeds differ by 0.005, alike in all."""
    scores = {
        name: {"loss": [losses.get(name, 1.4) + 0.005 * seed for seed in range(len(recipes))]}
        for name, recipes in arms.items()
    }
    return make_records(arms, scores)


def line(verdict: list[str], *parts: str) -> str:
    """The one line of the verdict that holds all of these."""
    (found,) = [one for one in verdict if all(part in one for part in parts)]
    return found


def test_the_arms_are_those_of_the_finished_runs(setting: Setting) -> None:
    arms = plan(setting)
    assert list(arms) == [
        f"{network}, {seen}" for network in ("unet", "cnn")
        for seen in ("x", "255*x", "0.01*x", "1*x-0.5", "-1*x+1")
    ]  # fmt: skip
    assert [(r.scale, r.shift, r.seed) for r in arms["cnn, -1*x+1"]] == [
        (-1.0, 1.0, seed) for seed in range(3)
    ]
    quick = plan(replace(setting, quick=True))
    assert (len(arms["unet, x"]), len(arms["unet, 255*x"])) == (5, 3)
    assert (len(quick["unet, x"]), len(quick["unet, 255*x"])) == (2, 1)


def test_the_verdict_follows_the_losses(setting: Setting, make_records: MakeRecords) -> None:
    made = {"unet, 255*x": 1.6, "cnn, 0.01*x": 1.2, "unet, -1*x+1": 1.5}
    records = with_loss(make_records, plan(setting), made)
    for run in records["cnn, 0.01*x"]:
        run["training"]["loss"][-1] = 1.38  # as on x: what it learns is not what it validates
    verdict = answer(setting, records).verdict
    unet = line(verdict, "has no norm behind it")
    assert "255*x: training loss less that on x +0.2" in unet
    assert "validation loss +0.2" in unet and unet.count("(worse)") == 2
    cnn = line(verdict, "batch norm alone").partition("0.01*x: ")[2]
    trained, _, validated = cnn.partition("validation loss")
    assert "(not told apart)" in trained and "(better)" in validated
    assert "a worse result" in line(verdict, "A4 (unet): -1*x+1, the inverted")


def test_what_is_not_told_is_open(setting: Setting, make_record: MakeRecord) -> None:
    losses = {True: [1.4, 1.5, 1.3], False: [1.4, 1.3, 1.5]}
    verdict = answer(setting, alike(plan(setting), make_record, 1 / 24, losses)).verdict
    inverted = line(verdict, "A4 (cnn): -1*x+1, the inverted")
    low, high = unpaired(losses[True], [1.4, 1.3, 1.5, 1.4, 1.3])[1:]
    assert low < 0 < high
    assert f"open: no difference is told, and none of up to {high:.3f} is excluded" in inverted


def test_one_seed_is_no_finding(setting: Setting, make_records: MakeRecords) -> None:
    quick = replace(setting, quick=True)
    made = {"unet, 255*x": 1.6, "unet, -1*x+1": 1.6}
    verdict = answer(quick, with_loss(make_records, plan(quick), made)).verdict
    for part in (
        "has no norm behind it", "the inverted picture", "A4 (unet): share of pixels",
        "why 0.01*x validates worse",
    ):  # fmt: skip
        assert all("one seed, no finding" in one for one in verdict if part in one)
        assert any(part in one for one in verdict)
    assert not any("worse)" in one or "(better" in one for one in verdict)
    assert "A quick look" in verdict[-1]


def alike(
    arms: Arms, make_record: MakeRecord, share: float, losses: dict[bool, list[float]] | None = None
) -> Records:
    """Runs whose twins on x give the same class to `share` of the pixels, and two seeds on x to
    about a 24th of them. losses: of each seed, with a negative a (True) and without."""
    random = np.random.default_rng(0)
    base = [random.integers(0, 24, (8, 32, 32)) for _ in range(5)]

    def classes(name: str, seed: int) -> Classes:
        other = (base[seed] + 1) % 24
        kept = random.random((8, 32, 32)) < (1 if name.endswith(", x") else share)
        return np.where(kept, base[seed], other).astype(np.uint8)

    return {
        name: tuple(
            make_record(
                recipe,
                {"loss": losses[recipe.scale < 0][recipe.seed % 3]} if losses else {},
                pictures=classes(name, recipe.seed),
            )
            for recipe in recipes
        )
        for name, recipes in arms.items()
    }


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.9, "more alike than two seeds"), (1 / 24, "not told from"), (0.0, "less alike")],
)
def test_the_verdict_follows_the_classes(
    share: float, words: str, setting: Setting, make_record: MakeRecord
) -> None:
    found = answer(setting, alike(plan(setting), make_record, share))
    said = line(found.verdict, "A4 (cnn): share of pixels")
    assert said.count(words) == len(PAIRS)
    assert words in line(found.verdict, "A4 (cnn): -1*x+1, the inverted")
    rows = {row[0]: row for row in found.tables["equal"].rows}
    assert float(rows["cnn, 255*x"][2].split()[0]) == pytest.approx(share, abs=0.01)
    assert float(rows["cnn, x, another seed"][2].split()[0]) == pytest.approx(1 / 24, abs=0.01)


def test_inside_and_border_are_told_apart(setting: Setting, make_record: MakeRecord) -> None:
    recipe = setting.base
    ones = np.ones((8, 32, 32), np.uint8)
    framed = ones.copy()
    framed[:, 4:-4, 4:-4] = 0
    ours, theirs = make_record(recipe, pictures=ones), make_record(recipe, pictures=framed)
    assert equal_share(ours, theirs, "border") == 1
    assert equal_share(ours, theirs, "inside") == 0
    assert equal_share(ours, theirs, "all") == pytest.approx(1 - 24**2 / 32**2)


def test_two_seeds_are_compared_with_each_other_alone(
    setting: Setting, make_record: MakeRecord
) -> None:
    shown = [np.full((8, 32, 32), value, np.uint8) for value in (0, 0, 1)]
    runs = tuple(
        make_record(replace(setting.base, seed=seed), pictures=picture)
        for seed, picture in enumerate(shown)
    )
    assert equal_to_twin({"unet, x": runs}, "unet, x")["all"] == [0.5, 0.5, 0.0]


def test_border_losses_are_the_records_own(setting: Setting, make_records: MakeRecords) -> None:
    arms = plan(setting)
    scores = {name: {"loss_border": 1.45, "loss_inside": 1.35} for name in arms}
    scores["unet, 1*x-0.5"] = {"loss_border": 1.75, "loss_inside": 1.35}
    records = make_records(arms, scores, spread=0.0)
    assert losses(records, "unet, 1*x-0.5", "loss_border").value == pytest.approx(0.3)
    said = line(answer(setting, records).verdict, "A4 (unet): 1*x-0.5")
    assert "0.300 ± 0.000 within 4 px" in said
    assert "0.000 ± 0.000 inside" in said
    assert "+0.300 ± 0.000 (worse)" in said
    inverted = line(answer(setting, records).verdict, "A4 (unet): -1*x+1, whose border")
    assert "(not told apart)" in inverted


def test_outcome_has_four_ways() -> None:
    ways = [[0.1, 0.11, 0.12], [-0.1, -0.11, -0.12], [0.1, -0.1, 0.05], [0.1]]
    said = [weighed(difference(values, [0.0] * 3)).partition(" (")[2] for values in ways]
    assert said == ["worse)", "better)", "not told apart)", "one seed, no finding)"]


def test_tables_and_figures(
    setting: Setting, make_records: MakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "pictures", draw)
    records = with_loss(make_records, plan(setting), {"unet, 255*x": 1.6})
    found = answer(setting, records)
    names = [row[0] for row in found.tables["scores"].rows]
    assert names[-3:] == ["majority class", "grey look-up", "best possible"]
    rows = {row[0]: row for row in found.tables["differences"].rows}
    assert rows["unet, 255*x"][1:3] == (3, "0.200 ± 0.000")
    for figure in found.figures.values():
        assert drawing.render(figure, "png")


# ---- without training


def test_the_construction_is_exact_and_its_shortcuts_are_not(setting: Setting) -> None:
    for network in ("unet", "cnn"):
        recipe = replace(setting.base, network=network)
        pairs = twins.constructions(recipe, PAIRS)
        for (_, b), row in pairs.items():
            assert row.exact < twins.EXACT
            assert row.middle < twins.EXACT
            assert (row.zero_padded > 1e-3) == (b != 0)
            assert (row.as_written > 1e-3) == (b != 0)
            if network == "cnn":
                assert row.unfixed is None
            else:
                assert row.unfixed is not None and row.unfixed > 1e-3


def test_a_construction_that_is_not_exact_is_said(setting: Setting) -> None:
    row = twins.Away(exact=0.3, zero_padded=0, middle=0, unfixed=0, as_written=0)
    (said,) = twins.verdict({"unet": {(1.0, -0.5): row}})
    assert "is NOT exact" in said
    assert "3.0e-01" in said


def test_the_norm_is_handed_a_squared_times_the_variance(setting: Setting) -> None:
    unet = setting.base
    x, large, faint = (twins.over_seeds([replace(unet, scale=a)]) for a in (1.0, 255.0, 0.01))
    assert large.variance == pytest.approx(255**2 * x.variance, rel=1e-3)
    assert faint.variance == pytest.approx(0.01**2 * x.variance, rel=1e-3)
    assert large.picture == pytest.approx(255 * x.picture, rel=1e-3)
    assert faint.variance < x.eps < x.variance
    assert faint.normed < 0.5 < 0.99 < x.normed


def test_turned_signs_make_the_same_run_and_others_do_not(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for network in ("unet", "cnn"):
        recipe = replace(setting.base, network=network)
        assert faint.turned(recipe) < affine_input.SAME
    monkeypatch.setattr(faint, "absorb", lambda network, a, b: network)
    apart = faint.turned(setting.base)
    assert apart > 1e-3
    assert "is NOT shown" in affine_input.told_of_turned({"unet": apart})


def test_the_norms_are_given_the_statistics_of_the_batches(setting: Setting) -> None:
    network = twins.first_network(setting.base)
    batches = list(torch.rand(2, 4, 1, 32, 32))
    twins.settle(network, batches)
    pooled = [network.b1.resize(network.b1.conv(batch)) for batch in batches]
    mean = torch.stack([one.mean(dim=(0, 2, 3)) for one in pooled]).mean(dim=0)
    torch.testing.assert_close(network.b1.norm.running_mean, mean)
    assert not network.training


RUN = faint.Faint(1.5, 4.0, 1.5, 1e-2, 1e-3)


@pytest.mark.parametrize(
    ("running", "held", "words"),
    [
        (1.5, 1.5, "that the running statistics are to blame is not supported"),
        (4.0, 4.0, "that the bias breaks them is not supported"),
        (4.0, 1.5, "and the bias breaks them"),
    ],
)
def test_what_breaks_is_told_by_what_mends_it(running: float, held: float, words: str) -> None:
    noise = (0.0, 0.1, -0.05)
    found = {
        False: [RUN._replace(running=running + one) for one in noise],
        True: [RUN._replace(running=held - one) for one in noise],
    }
    said = faint.told_of_faint(found, "0.01*x")
    assert words in said
    rows = {row[0]: row for row in faint.faint_table(found, "0.01*x").rows}
    assert rows["bias held"][3].startswith(f"{held - 0.05 / 3:.3f}")


def test_a_held_bias_does_not_move(setting: Setting) -> None:
    recipe = replace(setting.base, network="cnn", scale=0.01)
    free, held = (faint_once(recipe, one) for one in (False, True))
    assert held.drift == 0 < free.drift


def test_both_networks_begin_with_the_same_first_layer(setting: Setting) -> None:
    unet, cnn = (
        twins.first_network(replace(setting.base, network=name)) for name in ("unet", "cnn")
    )
    assert torch.equal(unet.b1.conv.weight, cnn.b1.conv.weight)
