"""Runs on a*x + b beside those on x: how equal their classes are, and how their losses differ."""

from collections.abc import Mapping

import numpy as np

from limner.scores import Interval
from limner.studies import answers
from limner.studies.record import Record, unpack
from limner.studies.scoring import BORDER
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Records, Table

PARTS = ("all", "inside", "border")  # of a picture: more or less than 4 px from its edge

Equal = dict[str, list[float]]  # part -> share of pixels with the same class, one value a seed


def equal_to_twin(records: Records, name: str) -> Equal:
    """Seed by seed, the share of pixels of the kept pictures that the arm and its network's run on
    x with the same seed give the same class; of the runs on x, the mean over the other seeds."""
    twins = records[f"{name.partition(',')[0]}, x"]
    runs = records[name]
    if runs is twins:
        pairs = [[(a, b) for b in twins if b is not a] for a in twins]
    else:
        pairs = [[pair] for pair in zip(runs, twins, strict=False)]
    return {
        part: [float(np.mean([equal_share(a, b, part) for a, b in seed])) for seed in pairs]
        for part in PARTS
    }


def equal_share(ours: Record, theirs: Record, part: str) -> float:
    """Share of pixels of a part of the kept pictures that both runs give the same class."""
    same = unpack(ours["pictures"]) == unpack(theirs["pictures"])  # [n, H, W]
    inside = np.zeros(same.shape[1:], np.bool_)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    mask = {"all": inside | ~inside, "inside": inside, "border": ~inside}[part]
    return float(same[:, mask].mean())


def paired(records: Records, name: str, column: str) -> list[float]:
    """A score of the arm less that of its network's runs on x, seed by seed."""
    ours = answers.values(records[name], column)
    theirs = answers.values(records[f"{name.partition(',')[0]}, x"], column)
    return [a - b for a, b in zip(ours, theirs, strict=False)]


def losses(records: Records, name: str, column: str = "loss") -> Interval:
    """The mean of `paired` and its interval."""
    return over_seeds(paired(records, name, column))


def trained(records: Records, name: str) -> Interval:
    """`losses`, of the training loss at the end."""
    theirs = records[f"{name.partition(',')[0]}, x"]
    ours = answers.training_losses(records[name])
    return difference(ours, answers.training_losses(theirs))


def equal_table(equal: Mapping[str, Equal]) -> Table:
    """Shares of pixels with the twin's class, by part of the picture."""
    rows = [
        (
            f"{name}, another seed" if name.endswith(", x") else name, len(shares["all"]),
            *(told(over_seeds(shares[part])) for part in PARTS),
            "-" if name.endswith(", x") else
            told(difference(shares["all"], equal[f"{name.partition(',')[0]}, x"]["all"])),
        )
        for name, shares in equal.items()
    ]  # fmt: skip
    header = (
        "", "seeds", "all pixels", "inside", f"within {BORDER} px of the border",
        "less another seed",
    )  # fmt: skip
    note = (
        "Of the validation pictures that the records keep: the share of pixels that get the class "
        "which the run on x with the same seed gives. Another seed: mean over the other seeds; "
        "these values share runs, so that their interval is a guide."
    )
    return Table("How equal the predictions are", header, rows, note)


def difference_table(records: Records) -> Table:
    """Scores on a*x + b less those on x, paired by seed."""
    columns = ("loss", "loss_inside", "loss_border", "accuracy", "ab_error")
    rows = [
        (
            name, len(runs), told(trained(records, name)),
            *(told(losses(records, name, column)) for column in columns),
        )
        for name, runs in records.items()
        if not name.endswith(", x")
    ]  # fmt: skip
    header = (
        "", "seeds", "training loss, nats", "validation loss, nats", "inside",
        f"within {BORDER} px of the border", "accuracy", "ab error",
    )  # fmt: skip
    note = "Of so many 95 % intervals, one in twenty excludes 0 by chance."
    return Table("Trained on a*x + b less trained on x, seed by seed", header, rows, note)
