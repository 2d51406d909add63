"""Why a network that sees 0.01*x validates worse than it learns, and why -x is another seed: runs
of a few epochs, carried out anew for each answer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from limner.learn import fit
from limner.learn.loading.sources import gather
from limner.learn.run import Run, assemble, build
from limner.networks.affine import absorb
from limner.recipe import Recipe
from limner.studies.affine_input.twins import PictureNetwork, settle
from limner.studies.record import palette_of
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Table
from limner.studies.verdicts import seeds, sign

EPOCHS = 4  # until the running variance, which begins at 1, has come down to that of 0.01*x
TURNED_STEPS = 5


class Faint(NamedTuple):
    """A short run: losses in nats, and what the first convolution says in training.

    training: over the last epoch; running: on the validation pictures, as always, with the norms'
    running statistics; settled: the same with the statistics of the last epoch's batches. drift: by
    how much the first convolution's biases have moved; deviation: of its pooled output; medians
    over its channels.
    """

    training: float
    running: float
    settled: float
    drift: float
    deviation: float


Faints = dict[bool, list[Faint]]  # by whether the bias was held, a run a seed


def faint(recipe: Recipe, held: bool) -> Faint:
    """A few epochs of the recipe; with the bias of the first convolution held where it began."""
    run = beginning(recipe)
    network = run.network
    assert isinstance(network, PictureNetwork)
    conv = network.b1.conv
    assert conv.bias is not None
    conv.bias.requires_grad_(not held)
    first = conv.bias.detach().clone()
    losses = steps(run, EPOCHS * run.sources.per_epoch)
    drift = float((conv.bias.detach() - first).abs().median())
    validation = list(run.sources.validation(recipe, network.stride))
    running = fit.validate(run, validation)["loss"]
    epoch = [run.batches(step)[0] for step in range(run.step - run.sources.per_epoch, run.step)]
    settle(network, epoch)
    with torch.no_grad():
        pooled = network.b1.resize(conv(epoch[-1]))
    return Faint(
        training=float(np.mean(losses[-run.sources.per_epoch :])),
        running=running,
        settled=fit.validate(run, validation)["loss"],
        drift=drift,
        deviation=float(pooled.std(dim=(0, 2, 3)).median()),
    )


def faints(recipes: Sequence[Recipe]) -> Faints:
    """Every seed's run, with the bias free and held."""
    return {held: [faint(recipe, held) for recipe in recipes] for held in (False, True)}


def turned(recipe: Recipe) -> float:
    """The largest difference of losses, over a few updates, between a run on x and one on -x whose
    first weights for the picture have their signs turned."""
    ours, theirs = beginning(recipe), beginning(replace(recipe, scale=-recipe.scale))
    assert isinstance(ours.network, PictureNetwork)
    theirs.network.load_state_dict(absorb(ours.network, -1.0, 0.0).state_dict())
    pairs = zip(steps(ours, TURNED_STEPS), steps(theirs, TURNED_STEPS), strict=True)
    return max(abs(a - b) for a, b in pairs)


def beginning(recipe: Recipe) -> Run:
    """A run before its first step, in memory alone."""
    sources = gather(recipe, None)
    network = build(recipe, palette_of(recipe), pretrained=False)
    return assemble(Path(), recipe, sources, network, "fp32", torch.device("cpu"))


def steps(run: Run, count: int) -> list[float]:
    """Train so many steps; their losses."""
    losses = []
    for step in range(count):
        losses.append(float(fit.learn(run, run.batches(step))))
        run.step += 1
    return losses


# ---- what it says


def told_of_faint(found: Faints, seen: str) -> str:
    """Whether the running statistics break, and whether the bias breaks them."""
    free, held = found[False], found[True]
    broken = difference([one.running for one in free], [one.settled for one in free])
    by_bias = difference([one.running for one in free], [one.running for one in held])
    if sign(broken) == "one":
        judged = "one seed, no finding"
    elif sign(broken) != "above":
        judged = "that the running statistics are to blame is not supported"
    elif sign(by_bias) != "above":
        judged = (
            "not learning breaks but the running statistics; that the bias breaks them is not "
            "supported"
        )
    else:
        judged = (
            "not learning breaks but the running statistics, and the bias breaks them: behind a "
            "norm its gradient is rounding, of which Adam makes whole steps, and the statistics "
            "lag behind"
        )
    mean = {name: over_seeds([getattr(one, name) for one in free]) for name in Faint._fields}
    fixed = over_seeds([one.running for one in held])
    return (
        f"A4 (cnn), why {seen} validates worse than it learns: after {EPOCHS} epochs "
        f"({seeds(len(free))}) its loss is {told(mean['training'])} in training, "
        f"{told(mean['running'])} on validation pictures with the norms' running statistics, "
        f"{told(mean['settled'])} there with those of an epoch's batches; with the first "
        f"convolution's bias held, {told(fixed)} with running statistics. The bias moves by "
        f"{mean['drift'].value:.1e}, where the convolution's output deviates by "
        f"{mean['deviation'].value:.1e}: {judged}."
    )


def faint_table(found: Faints, seen: str) -> Table:
    """The short runs' losses."""
    rows = []
    for held, runs in found.items():
        columns = [[getattr(run, name) for run in runs] for name in Faint._fields]
        cells = [told(over_seeds(column)) for column in columns[:3]]
        small = [f"{np.mean(column):.1e}" for column in columns[3:]]
        rows.append(("bias held" if held else "as always", len(runs), *cells, *small))
    header = (
        "", "seeds", "training loss", "validation loss, running statistics",
        "validation loss, statistics of an epoch's batches", "bias moved by",
        "deviation of the first convolution's output",
    )  # fmt: skip
    note = f"The CNN on {seen}, {EPOCHS} epochs; bias: of the first convolution."
    return Table("Why a faint input validates worse", header, rows, note)
