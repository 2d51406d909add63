"""A2, B3 iii: are the pictures merely brown, are grass and sky found, where do the browns fall?"""

from collections.abc import Mapping, Sequence

import numpy as np

from limner.studies import answers
from limner.studies.class_colors import KINDS, RULE, Column, grey, kinds, recall, share, table_of
from limner.studies.record import Record
from limner.studies.scoring import Truth
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Records, Table
from limner.studies.verdicts import percent, seeds, sign, weighed

MERELY = 0.5  # share of the pixels from which a picture is "merely" of a kind


def told_of_browns(runs: Sequence[Record], truth: Truth) -> list[str]:
    """A2: whether the CNN's pictures are merely brown, and where the browns fall."""
    kind = kinds(truth.palette)
    tables = [table_of(run) for run in runs]
    true = share(tables[0], kind["brown"], "true")
    brown = [share(table, kind["brown"]) for table in tables]
    plain = [share(table, kind["grey"]) for table in tables]
    less = over_seeds([100 * (value - true) for value in brown])
    most = over_seeds([value - MERELY for value in brown])
    judged = {
        "one": "one seed, no finding",
        "none": "whether most pixels are brown cannot be told",
        "above": "most pixels are brown",
        "below": "the pictures are not merely brown",
    }[sign(most)]
    used = told(over_seeds(answers.values(runs, "colors")), 0)
    first = (
        f'A2: "merely brown": the CNN predicts {used} of the {len(truth.palette)} colors at least '
        f"once; {percent(brown)} of the pixels become brown, {percent([true])} are "
        f"({weighed(less, 'too many', 'too few', 1)}), and {percent(plain)} become grey, "
        f"{percent([share(tables[0], kind['grey'], 'true')])} are ({seeds(len(runs))}): {judged}."
    )
    return [first, told_of_darkness([grey(table, kind["brown"]) for table in tables], truth)]


def told_of_darkness(levels: Sequence[float], truth: Truth) -> str:
    """A2: whether the browns fall on dark pixels, and darker ones than true browns are."""
    if np.isnan(levels).any():
        return (
            "A2: in some seed the CNN predicts no brown at all, so where they fall is no question."
        )
    kind = kinds(truth.palette)
    everywhere = float(truth.grey.mean())
    true = float(truth.grey[np.isin(truth.classes, kind["brown"])].mean())
    beside = [
        weighed(over_seeds([level - mean for level in levels]), "lighter", "darker", 1)
        for mean in (everywhere, true)
    ]
    return (
        f"A2: pixels predicted brown have a mean grey level of {told(over_seeds(levels), 1)} of "
        f"255; all pixels {everywhere:.1f} ({beside[0]}), truly brown ones {true:.1f} "
        f"({beside[1]}; {seeds(len(levels))})."
    )


def told_of_kinds(records: Records, truth: Truth, lookup: Column) -> list[str]:
    """B3 iii: whether grass (green) and sky (blue) are found."""
    lines = []
    for kind, thing in (("green", "grass"), ("blue", "sky")):
        classes = kinds(truth.palette)[kind]
        found = {
            name: [recall(table_of(run), classes) for run in records[name]]
            for name in ("cnn", "unet")
        }
        change = difference(*([100 * value for value in found[name]] for name in ("unet", "cnn")))
        lines.append(
            f"B3 iii: recall on {kind} classes ({thing}): CNN {percent(found['cnn'])}, UNet "
            f"{percent(found['unet'])}, grey look-up {percent([recall(lookup, classes)])}; "
            f"UNet less CNN {weighed(change, 'better', 'worse', 1)} points "
            f"({seeds(min(map(len, found.values())))})."
        )
    return lines


def color_table(records: Records, truth: Truth, lookup: Column) -> Table:
    """What becomes of grey, brown, green and blue pixels in every arm, the look-up's and truth."""
    kind = kinds(truth.palette)
    rows: list[tuple[object, ...]] = [
        color_row(name, [table_of(run) for run in runs], kind) for name, runs in records.items()
    ]
    rows.append(color_row("grey look-up", [lookup], kind))
    shares = [percent([share(lookup, kind[name], "true")]) for name in KINDS]
    level = truth.grey[np.isin(truth.classes, kind["brown"])].mean()
    rows.append(("truth", "-", *shares, *["100 %"] * len(KINDS), f"{level:.1f}"))
    header = (
        "", "seeds", *(f"{name} of pixels" for name in KINDS),
        *(f"recall on {name}" for name in KINDS), "mean grey level of browns",
    )  # fmt: skip
    listed = "; ".join(f"{name}: {', '.join(map(str, kind[name]))}" for name in KINDS)
    note = (
        f"{RULE} In this palette: {listed}. Recall: of the pixels of a kind, those that get their "
        "own class."
    )
    return Table("Where the colors go", header, rows, note)


def color_row(
    name: str, tables: Sequence[Column], kind: Mapping[str, Sequence[int]]
) -> tuple[object, ...]:
    """Shares predicted, recalls, and the mean grey of what is predicted brown."""
    shares = [percent([share(table, kind[one]) for table in tables]) for one in KINDS]
    recalls = [percent([recall(table, kind[one]) for table in tables]) for one in KINDS]
    level = told(over_seeds([grey(table, kind["brown"]) for table in tables]), 1)
    return (name, len(tables), *shares, *recalls, "-" if level == "nan" else level)
