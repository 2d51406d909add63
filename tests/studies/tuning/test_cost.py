"""What a step costs: the right network is timed, on the right shapes, beside its own account."""

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from limner.accounting.account import account
from limner.learn.run import Run, build
from limner.masks.labels import voc_labels
from limner.recipe import Recipe
from limner.studies.timing import PROCESSES, resident
from limner.studies.tuning import cost
from limner.studies.tuning.cost import (
    ALL,
    ARMS,
    CACHED,
    LAST,
    Costs,
    backward,
    cost_table,
    costs,
    features_of,
    learned,
    measure,
    random_run,
    together,
)

SIDE, BATCH = 64, 2
ENCODERS = {"timm/test_efficientnet": 8, "mobilenet_v3_large": None}


def recipe_of(encoder: str, arm: str) -> Recipe:
    recipe = Recipe(
        task="segment", network="deeplabv3", encoder=encoder, width=ENCODERS[encoder],
        learn=("classifier.4",), size=SIDE, batch=BATCH, steps=1,
    )  # fmt: skip
    return replace(recipe, learn=learned(recipe, arm))


@pytest.mark.parametrize("arm", ARMS)
def test_a_measured_step_trains_what_it_should_and_is_beside_its_account(
    arm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of("timm/test_efficientnet", arm)
    runs: list[Run] = []
    before: list[dict[str, torch.Tensor]] = []

    def kept(recipe: Recipe) -> Run:
        runs.append(random_run(recipe))
        before.append({n: p.detach().clone() for n, p in runs[0].network.named_parameters()})
        return runs[0]

    monkeypatch.setattr(cost, "random_run", kept)
    found = measure(recipe, arm == CACHED, 1)
    network = runs[0].network
    moved = {n for n, p in network.named_parameters() if not torch.equal(p, before[0][n])}
    last = {"classifier.4.weight", "classifier.4.bias"}
    assert moved == (set(before[0]) if arm == ALL else last)
    assert found.counted.trainable == sum(before[0][name].numel() for name in moved)

    whole = build(recipe, voc_labels(), pretrained=False)
    if arm == CACHED:
        assert found.counted.parameters == found.counted.trainable
        shape = whole.eval().features(torch.rand(BATCH, 3, SIDE, SIDE)).shape[1:]
        expected = account(whole.get_submodule("classifier.4"), input=tuple(shape), batch=BATCH)
    else:
        learn = "all" if arm == ALL else recipe.learn
        expected = account(whole, input=(3, SIDE, SIDE), batch=BATCH, learn=learn)
    assert asdict(found.counted) == asdict(expected.totals)

    assert len(found.forward) == len(found.backward) == 1
    assert min(found.forward + found.backward) > 0
    assert len(found.keeping) == (1 if arm == CACHED else 0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_kept_features_have_the_shape_of_real_ones(encoder: str) -> None:
    run = random_run(recipe_of(encoder, LAST))
    pictures, classes = run.batches(0)
    assert len(pictures) == BATCH
    assert int(classes.max()) < 21
    with torch.no_grad():
        features = run.network.features(pictures)
    assert features_of(run) == tuple(features.shape[1:])


def test_the_counted_backward_pass_is_the_accounts() -> None:
    """Of a network that learns, twice the forward pass but for the first layer's inputs."""
    network = build(recipe_of("timm/test_efficientnet", ALL), voc_labels(), pretrained=False)
    counted = account(network, input=(3, SIDE, SIDE), batch=BATCH)
    assert backward(counted.totals) == counted.totals.backward / counted.totals.training_forward
    first = next(row for row in counted.rows if row.connections)
    assert counted.totals.backward == 2 * counted.totals.training_forward - first.training_forward
    assert 1.8 < backward(counted.totals) < 2


def test_a_system_that_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "resident", lambda key: None)
    found = measure(recipe_of("timm/test_efficientnet", CACHED), True, 1)
    assert (found.empty, found.built, found.peak, found.grown) == (None, None, None, None)
    assert cost_table({(CACHED, SIDE): found}, BATCH, 0).rows[0][10:12] == ("-", "-")


@pytest.mark.skipif(resident("VmRSS") is None, reason="the system does not tell")
def test_every_cost_is_that_of_a_fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process holds is not in its memory."""
    ballast = np.ones(40_000_000)
    monkeypatch.setattr(cost, "ARMS", (CACHED,))
    found = costs(recipe_of("timm/test_efficientnet", LAST), (32,), 2)
    assert list(found) == [(CACHED, 32)]
    one = found[CACHED, 32]
    assert one.empty is not None
    assert one.built is not None
    assert one.peak is not None
    assert one.empty <= one.built <= one.peak
    assert one.empty < (resident("VmRSS") or 0) - ballast.nbytes / 2
    assert (len(one.forward), one.counted.trainable) == (PROCESSES, 8 * 21 + 21)
    width, side = 8, 32 // 4
    assert one.counted.connections == BATCH * width * 21 * side * side


def test_steps_and_ratios_are_medians(make_costs: Callable[..., Costs]) -> None:
    times = {"forward": [1.0, 2.0, 9.0], "backward": [4.0, 8.0, 5.0]}
    one = make_costs({(ALL, 224): times})[ALL, 224]
    assert one.step == 10  # of 5, 10 and 14
    assert one.ratio == 2.5  # 5 over 2
    assert one.grown == 200_000_000


def test_processes_are_put_together(make_costs: Callable[..., Costs]) -> None:
    one = make_costs()[ALL, 224]
    each = [
        replace(one, forward=[second], backward=[1.0], peak=peak)
        for second, peak in ((1.0, 10), (3.0, 30), (2.0, None))
    ]
    found = together(each)
    assert (found.step, found.steps, found.peak) == (3.0, [2.0, 4.0, 3.0], 20)
    assert found.counted == one.counted


def test_what_an_arm_learns() -> None:
    recipe = recipe_of("timm/test_efficientnet", LAST)
    assert [learned(recipe, arm) for arm in ARMS] == [("all",), *[("classifier.4",)] * 2]


def test_the_table_tells_the_costs(make_costs: Callable[..., Costs]) -> None:
    table = cost_table(make_costs(), BATCH, 0.25)
    assert [row[:2] for row in table.rows] == [(arm, side) for arm in ARMS for side in (224, 448)]
    told = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert told[0] == {
        "what learns": ALL,
        "side, px": 224,
        "parameters that learn": 1000,
        "step, ms": "400",
        "least and most": "400 to 400",
        "forward, ms": "200",
        "backward, ms": "200",
        "backward over forward, measured": "100 %",
        "backward over forward, counted": "180 %",
        "keeping a batch's features, ms": "-",
        "process before, MB": "900.0",
        "grown, MB": "200.0",
        "counted peak, MB": "7.0",
        "counted, saved for backward, MB": "3.0",
    }
    assert told[3]["step, ms"] == "400"  # the last layer at 448 px
    assert told[3]["grown, MB"] == "500.0"
    assert told[4]["keeping a batch's features, ms"] == "80"
    assert told[4]["backward over forward, counted"] == "100 %"
    assert "on 2 random pictures" in table.note
    assert "Processes beside: 0.25" in table.note
