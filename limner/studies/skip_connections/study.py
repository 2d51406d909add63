"""A2, B3: does the UNet beat the CNN, by how much, and which of its three skips does it?"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from limner.networks.unet import SKIPS
from limner.palette import Palette
from limner.studies import answers, figures, verdicts
from limner.studies.class_colors import kinds
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.skip_connections import effects, merely_brown, writeup_cnn
from limner.studies.study import Answer, Arms, Records, Setting, Study, Table, seeded
from limner.studies.verdicts import percent, seeds, sign, weighed

WIDE = 37  # NF at which the CNN has about as many parameters as the UNet
MAIN = ("cnn", "wide cnn", "unet")


def subsets() -> list[str]:
    """The six subsets of the skips that are neither none nor all."""
    return [",".join(names) for size in (1, 2) for names in combinations(SKIPS, size)]


def plan(setting: Setting) -> Arms:
    many, few = (2, 1) if setting.quick else (5, 3)
    unet = setting.base
    cnn = replace(unet, name="cnn", network="cnn")
    arms = {
        "unet": seeded(unet, many),
        "cnn": seeded(cnn, many),
        "wide cnn": seeded(replace(cnn, NF=WIDE), many),
    }
    for skips in subsets():
        arms[f"skips {skips}"] = seeded(replace(unet, skips=skips), few)
    if not setting.quick:
        arms |= {name: seeded(recipe, 1) for name, recipe in writeup_cnn.search(cnn).items()}
    return arms


def answer(setting: Setting, records: Records) -> Answer:
    first = records["unet"][0]
    palette = Palette.from_json(first["palette"])
    truth = answers.truth_of(setting.data, "val", palette)
    pictures = first["settings"]["pictures"]
    simples = answers.simple_answers(setting.data, palette, pictures)
    simple = simples["grey look-up"]
    lookup = answers.lookup_by_class(setting.data, palette, pictures)
    tried = writeup_cnn.candidates(setting, records)
    main = {name: records[name] for name in MAIN}
    return Answer(
        [
            told_of_cnn(records, simple),
            *merely_brown.told_of_browns(records["cnn"], truth),
            *writeup_cnn.verdict(tried),
            *told_of_unet(records, simple),
            *merely_brown.told_of_kinds(records, truth, lookup),
            told_of_width(records),
            *effects.verdict(records, truth),
            answers.PALETTE_NOTE,
            *verdicts.quick_look(setting),
        ],
        tables={
            "scores": answers.scores_table(
                "Scores on the validation pictures", records, setting.data, answers.PALETTE_NOTE
            ),
            "differences": difference_table(records),
            "colors": merely_brown.color_table(records, truth, lookup),
            "skips": effects.effects_table(records, truth),
            "search": writeup_cnn.table(tried, simples),
        },
        figures={
            **{
                f"{kind}-loss": figures.curves(
                    {name: answers.curve(runs, kind, "loss") for name, runs in main.items()},
                    "updates", f"{kind} loss, nats",
                )
                for kind in ("training", "validation")
            },
            "loss": figures.bars(
                {name: over_seeds(answers.values(runs, "loss")) for name, runs in records.items()},
                "validation loss, nats", {"grey look-up": simple["loss"]},
            ),
            "pictures": figures.pictures(answers.picture_rows(main, setting.data)),
        },
        facts={
            "loss": {name: answers.values(runs, "loss") for name, runs in records.items()},
            "lookup": simple,
            "kinds": kinds(palette),
            "main_effects": {
                skip: effects.effect(records, skip, effects.measure("loss"))
                for skip in SKIPS
            },
            "search": {name: writeup_cnn.near(*writeup_cnn.means(r)) for name, r in tried.items()},
        },
    )  # fmt: skip


def between(records: Records, ours: str, theirs: str, column: str) -> str:
    """A score of one arm less that of another, in words; more is better of an accuracy."""
    change = difference(*(answers.values(records[name], column) for name in (ours, theirs)))
    if column.startswith("accuracy"):
        return weighed(change, "better", "worse")
    return weighed(change, digits=2 if column == "ab_error" else 3)


# ---- the verdict


def told_of_cnn(records: Records, simple: Mapping[str, float]) -> str:
    """A2: how good the CNN is, beside the write-up and beside no network."""
    runs = records["cnn"]
    loss, accuracy = (answers.values(runs, column) for column in ("loss", "accuracy"))
    over = over_seeds([value - simple["loss"] for value in loss])
    return (
        f"A2: the CNN ends at loss {told(over_seeds(loss))}, accuracy {told(over_seeds(accuracy))} "
        f"({seeds(len(runs))}; the write-up: {writeup_cnn.LOSS} and "
        f"{percent([writeup_cnn.ACCURACY], 0)}); the grey look-up, which is no network, has "
        f"{simple['loss']:.3f} and {simple['accuracy']:.3f}: the CNN's loss less "
        f"its own is {weighed(over)}."
    )


def told_of_unet(records: Records, simple: Mapping[str, float]) -> list[str]:
    """B3 i, ii: the UNet beside the CNN, the write-up, and the look-up."""
    count = min(len(records["unet"]), len(records["cnn"]))
    loss, accuracy = (between(records, "unet", "cnn", c) for c in ("loss", "accuracy"))
    runs = records["unet"]
    reached = {column: answers.values(runs, column) for column in ("loss", "accuracy", "ab_error")}
    over = {
        column: over_seeds([value - simple[column] for value in values])
        for column, values in reached.items()
    }
    return [
        f"B3 i, ii: UNet less CNN, seed by seed ({seeds(count)}): loss {loss}, accuracy "
        f"{accuracy}; the UNet ends at {told(over_seeds(reached['loss']))} and "
        f"{told(over_seeds(reached['accuracy']))} (the write-up: 1.83 to 1.35, 33 % to 49 %).",
        f"B3 i, ii: UNet less grey look-up ({seeds(len(runs))}): loss {weighed(over['loss'])}, "
        f"accuracy {weighed(over['accuracy'], 'better', 'worse')}, ab error of the expected color "
        f"{weighed(over['ab_error'], digits=2)}.",
    ]


def told_of_width(records: Records) -> str:
    """B3 iv: whether more parameters explain it."""
    loss = {name: answers.values(records[name], "loss") for name in MAIN}
    wider = difference(loss["wide cnn"], loss["cnn"])
    left = difference(loss["unet"], loss["wide cnn"])
    gap = difference(loss["unet"], loss["cnn"])
    if sign(wider) == "one":
        judged = "one seed, no finding"
    elif sign(gap) != "below":
        judged = "no gain of the UNet that could be told, so nothing to explain"
    elif sign(wider) != "below":
        most = 100 * max(0.0, wider.low / gap.value)
        judged = f"more parameters explain at most {most:.0f} % of it"
    elif sign(left) == "below":
        judged = f"more parameters explain about {100 * wider.value / gap.value:.0f} % of it"
    else:
        judged = "more parameters may explain it: nothing is left that could be told"
    counts = {name: answers.first_parameters(records[name]) for name in MAIN}
    return (
        f"B3 iv: a CNN with NF {WIDE} has {counts['wide cnn']:,} parameters (UNet "
        f"{counts['unet']:,}, CNN {counts['cnn']:,}): its loss less the CNN's {weighed(wider)}, "
        f"the UNet's less its {weighed(left)} ({seeds(min(map(len, loss.values())))}): {judged}."
    )


# ---- the tables


def difference_table(records: Records) -> Table:
    """Paired differences between the main arms."""
    columns = ("loss", "accuracy", "accuracy_alike", "ab_error")
    pairs = (("unet", "cnn"), ("wide cnn", "cnn"), ("unet", "wide cnn"))
    rows: list[tuple[object, ...]] = [
        (
            f"{ours} less {theirs}", min(len(records[ours]), len(records[theirs])),
            *(between(records, ours, theirs, column) for column in columns),
        )
        for ours, theirs in pairs
    ]  # fmt: skip
    header = ("", "seeds", *(answers.COLUMNS[column][0] for column in columns))
    return Table("Paired differences, seed by seed", header, rows)


STUDY = Study(
    name="skip-connections",
    title="Does the UNet beat the CNN, and which skip does it",
    questions=("A2", "B3"),
    plan=plan,
    answer=answer,
)
