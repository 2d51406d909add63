"""The search for the setting that gives the write-up's CNN, whose loss was 1.83 and accuracy 33 %.

Candidates: settings that the write-up leaves open or may have had otherwise, one run each; larger
batches, whose runs belong to the study of batch sizes and are taken if they are there; and the
plain CNN stopped early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from limner.palette import Palette
from limner.recipe import Recipe
from limner.studies import answers
from limner.studies.batch_size import study as batch_size
from limner.studies.class_colors import kinds, recall, share, table_of
from limner.studies.record import Record, find_record, key
from limner.studies.runner import places
from limner.studies.seeds import over_seeds, told
from limner.studies.study import Records, Setting, Table
from limner.studies.verdicts import percent, seeds

LOSS, ACCURACY = 1.83, 0.33
NEAR_LOSS, NEAR_ACCURACY = 0.05, 0.02


def search(cnn: Recipe) -> dict[str, Recipe]:
    """Settings that might give the write-up's CNN."""
    return {
        "cnn, NF 16": replace(cnn, NF=16),
        "cnn, NF 8": replace(cnn, NF=8),
        "cnn, k 1": replace(cnn, k=1),
        "cnn, rate 1e-4": replace(cnn, learning_rate=1e-4),
        "cnn, rate 1e-2": replace(cnn, learning_rate=1e-2),
        "cnn, input 0..255": replace(cnn, scale=255.0),
        "cnn, 3 epochs": replace(cnn, epochs=3),
        "cnn, 4 epochs": replace(cnn, epochs=4),
    }


class Curve(NamedTuple):
    """The plain CNN's validation curves beside the write-up's figures; epochs count from 1."""

    loss: list[float]  # mean over the seeds, an epoch each
    accuracy: list[float]
    passes: int  # the first epoch at which the mean loss is at most the write-up's
    first: int  # and the earliest and the latest of the seeds
    last: int
    both: list[int]  # the epochs at which both figures are near the write-up's


def near(loss: float, accuracy: float) -> bool:
    """Whether both figures are the write-up's, as near as its two digits and a seed allow."""
    return abs(loss - LOSS) <= NEAR_LOSS and abs(accuracy - ACCURACY) <= NEAR_ACCURACY


def candidates(setting: Setting, records: Records) -> dict[str, tuple[Record, ...]]:
    """The runs that are compared with the write-up's CNN."""
    found = {"cnn": records["cnn"], "wide cnn": records["wide cnn"]}
    found |= {name: records[name] for name in search(setting.base) if name in records}
    for name, recipes in batch_size.plan(setting).items():
        if not name.startswith("cnn, ") or recipes[0].batch == setting.base.batch:
            continue
        runs = [find_record(places(setting.folder), key(recipe)) for recipe in recipes]
        at_hand = tuple(run for run in runs if run is not None)
        if at_hand:
            found[f"cnn, batch {recipes[0].batch}"] = at_hand
    return found


def means(runs: Sequence[Record]) -> tuple[float, float]:
    """Loss and accuracy, means over the seeds."""
    loss, accuracy = (float(np.mean(answers.values(runs, c))) for c in ("loss", "accuracy"))
    return loss, accuracy


def curve(runs: Sequence[Record]) -> Curve | None:
    """The runs' curves; None if a seed never reaches the write-up's loss."""
    losses, accuracies = (
        np.array([run["validation"][column] for run in runs]) for column in ("loss", "accuracy")
    )  # [seeds, epochs]
    below = losses <= LOSS
    if not below.any(axis=1).all():
        return None
    firsts = below.argmax(axis=1) + 1
    loss, accuracy = losses.mean(axis=0).tolist(), accuracies.mean(axis=0).tolist()
    both = [epoch for epoch, pair in enumerate(zip(loss, accuracy, strict=True), 1) if near(*pair)]
    passes = next(epoch for epoch, value in enumerate(loss, 1) if value <= LOSS)
    return Curve(loss, accuracy, passes, int(firsts.min()), int(firsts.max()), both)


def verdict(tried: Mapping[str, tuple[Record, ...]]) -> list[str]:
    """Whether a setting gives both figures, and at which epoch the plain CNN has the loss."""
    both = [name for name, runs in tried.items() if near(*means(runs))]
    aim = f"the write-up's CNN (loss {LOSS}, accuracy {percent([ACCURACY], 0)})"
    if both:
        listed = "; ".join(_figures(name, tried[name]) for name in both)
        single = any(len(tried[name]) == 1 for name in both)
        end = " One seed is a candidate, no finding." if single else ""
        found = f"A2: {aim}: found within {NEAR_LOSS} and {NEAR_ACCURACY}: {listed}.{end}"
    else:
        nearest = min(tried, key=lambda name: abs(means(tried[name])[0] - LOSS))
        found = (
            f"A2: {aim}: none of the {len(tried)} settings run to the end gives both within "
            f"{NEAR_LOSS} and {NEAR_ACCURACY}; the nearest loss is that of "
            f"{_figures(nearest, tried[nearest])}."
        )
    return [found, told_of_epoch(tried["cnn"])]


def told_of_epoch(runs: Sequence[Record]) -> str:
    """When the plain CNN passes the write-up's loss, and whether it has both figures then."""
    found = curve(runs)
    if found is None:
        return f"A2: the plain CNN does not reach a loss of {LOSS} in every seed."
    span = f"{found.first}" if found.first == found.last else f"{found.first} to {found.last}"
    at = "; ".join(
        f"{epoch} ({found.loss[epoch - 1]:.3f}, {found.accuracy[epoch - 1]:.3f})"
        for epoch in found.both
    )
    judged = (
        f"both figures are near the write-up's if it is stopped after epoch {at}"
        if found.both
        else "at no epoch are both figures near the write-up's"
    )
    end = " One seed is no finding." if len(runs) == 1 else ""
    return (
        f"A2: the plain CNN passes {LOSS} after epoch {found.passes} of {len(found.loss)} (by "
        f"seed: {span}; mean over {seeds(len(runs))}): {judged}.{end}"
    )


def _figures(name: str, runs: Sequence[Record]) -> str:
    loss, accuracy = (told(over_seeds(answers.values(runs, c))) for c in ("loss", "accuracy"))
    return f"{name} ({loss}, {accuracy}; {seeds(len(runs))})"


def table(
    tried: Mapping[str, tuple[Record, ...]], simple: Mapping[str, Mapping[str, float]]
) -> Table:
    """Every candidate's figures beside the write-up's, the simple answers' below."""
    palette = Palette.from_json(tried["cnn"][0]["palette"])
    kind = kinds(palette)
    rows: list[tuple[object, ...]] = []
    for name, runs in tried.items():
        tables = [table_of(run) for run in runs]
        loss, accuracy, used = (answers.values(runs, c) for c in ("loss", "accuracy", "colors"))
        rows.append(
            (
                name, len(runs), told(over_seeds(loss)), told(over_seeds(accuracy)),
                "yes" if near(*means(runs)) else "no", told(over_seeds(used), 0),
                percent([share(one, kind["brown"]) for one in tables]),
                percent([recall(one, kind["green"]) for one in tables]),
                percent([recall(one, kind["blue"]) for one in tables]),
            )
        )  # fmt: skip
    rows += epoch_rows(tried["cnn"])
    for name, scores in simple.items():
        cell = partial(answers.simple_cell, scores)
        rows.append((name, "-", cell("loss"), cell("accuracy"), "-", cell("colors"), *"---"))
    header = (
        "", "seeds", "loss, nats", "accuracy", "both near", "colors used", "predicted brown",
        "recall on green", "recall on blue",
    )  # fmt: skip
    note = (
        f"Near: loss within {NEAR_LOSS} of {LOSS} and accuracy within {NEAR_ACCURACY} of "
        f"{ACCURACY}. Rows of other batches are those of the study of batch sizes, where they were "
        "at hand. Rows of an epoch have only what a validation curve holds. " + answers.PALETTE_NOTE
    )
    return Table("The search for the write-up's CNN", header, rows, note)


def epoch_rows(runs: Sequence[Record]) -> list[tuple[object, ...]]:
    """Rows of the table for the epochs of the plain CNN that come near the write-up's figures."""
    found = curve(runs)
    if found is None:
        return []
    rows: list[tuple[object, ...]] = []
    for epoch in sorted({found.passes, *found.both}):
        pair = found.loss[epoch - 1], found.accuracy[epoch - 1]
        cells = (*(f"{value:.3f}" for value in pair), "yes" if near(*pair) else "no")
        rows.append((f"cnn, after epoch {epoch}", len(runs), *cells, *"----"))
    return rows
