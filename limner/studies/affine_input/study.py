"""A4: what changes if the network sees a*x + b instead of x?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from limner.scores import Interval
from limner.studies import answers, figures
from limner.studies.affine_input import twins
from limner.studies.affine_input.twins import First, constructions, seen
from limner.studies.record import Record, unpack
from limner.studies.scoring import BORDER
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Answer, Arms, Records, Setting, Study, Table, seeded
from limner.studies.verdicts import sign, weighed

# (a, b): raw levels; so faint that batch norm's epsilon counts; centered; inverted.
PAIRS = ((255.0, 0.0), (0.01, 0.0), (1.0, -0.5), (-1.0, 1.0))
NETWORKS = ("unet", "cnn")
NOT_TOLD = "not told from two seeds"
PARTS = ("all", "inside", "border")  # of a picture: more or less than 4 px from its edge

Equal = dict[str, list[float]]  # part -> share of pixels with the same class, one value a seed


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    unet = setting.base
    arms: Arms = {}
    for network in NETWORKS:
        base = replace(unet, name=network, network=network)
        arms[f"{network}, x"] = seeded(base, max(2, seeds))  # two, to tell seeds apart
        for a, b in PAIRS:
            recipe = replace(base, scale=a, shift=b)
            arms[f"{network}, {seen(a, b)}"] = seeded(recipe, seeds)
    return arms


def answer(setting: Setting, records: Records) -> Answer:
    arms = plan(setting)
    aways = {
        network: constructions(replace(setting.base, network=network), PAIRS)
        for network in NETWORKS
    }
    firsts = {
        name.removeprefix("unet, "): twins.over_seeds(recipes)
        for name, recipes in arms.items()
        if name.startswith("unet, ")
    }
    equal = {name: equal_to_twin(records, name) for name in records}
    verdict = [*twins.verdict(aways), *told_of_first(firsts, records)]
    for network in NETWORKS:
        verdict += told_of_runs(network, records, equal)
    if setting.quick:
        verdict.append("A quick look: 1,000 pictures, 3 epochs, one seed of each a*x + b.")
    return Answer(
        verdict,
        tables={
            "construction": twins.construction_table(aways),
            "first": twins.first_table(firsts),
            "equal": equal_table(equal),
            "differences": difference_table(records),
            "scores": answers.scores_table(
                "Trained on x and on a*x + b: scores on the validation pictures",
                records, setting.data, answers.PALETTE_NOTE,
            ),
        },
        figures={
            "equal": figures.bars(
                {name: over_seeds(shares["all"]) for name, shares in equal.items()},
                "share of pixels with the class that the twin on x predicts", {},
            ),
            "pictures": figures.pictures(answers.picture_rows(records, setting.data)),
        },
        facts={
            "construction": {
                network: {seen(*pair): row._asdict() for pair, row in rows.items()}
                for network, rows in aways.items()
            },
            "first": {name: asdict(one) for name, one in firsts.items()},
            "equal": equal,
            "loss": {name: answers.values(runs, "loss") for name, runs in records.items()},
        },
    )  # fmt: skip


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


# ---- the verdict


def told_of_first(firsts: Mapping[str, First], records: Records) -> list[str]:
    """Why the size of a matters where it does: the norm behind the first layer, none behind the
    last; each beside what training did."""
    x, large, faint = (firsts[pair] for pair in ("x", *(seen(a, b) for a, b in PAIRS[:2])))
    names = [seen(a, b) for a, b in PAIRS[:2]]
    cnn, unet = (
        ", ".join(f"{name} {weighed(losses(records, f'{network}, {name}'))}" for name in names)
        for network in ("cnn", "unet")
    )
    return [
        f"A4 (cnn), a > 0 and b = 0: loss less that on x {cnn}. Behind it: the picture enters "
        "through a batch norm alone, which divides a out until a^2 times the variance meets the "
        f"norm's epsilon ({x.eps:.0e}). At the first weights the norm sees a variance of "
        f"{x.variance:.2g} for x, {large.variance:.2g} for {names[0]} and {faint.variance:.2g} for "
        f"{names[1]}, and makes {x.normed:.3f}, {large.normed:.3f} and {faint.normed:.3f} of it.",
        f"A4 (unet), a > 0 and b = 0: loss less that on x {unet}. Behind it: the picture's channel "
        "of the last layer has no norm behind it. At the first weights its part of the logits has "
        f"a deviation of {x.picture:.2g} for x, {large.picture:.2g} for {names[0]} and "
        f"{faint.picture:.2g} for {names[1]}.",
    ]


def told_of_runs(network: str, records: Records, equal: Mapping[str, Equal]) -> list[str]:
    """What training on a*x + b did to one network: sameness, border, and a negative a."""
    arms = [f"{network}, {seen(a, b)}" for a, b in PAIRS]
    control = equal[f"{network}, x"]
    same = "; ".join(
        f"{name.partition(', ')[2]} {told(over_seeds(equal[name]['all']), 2)} "
        f"({likeness(equal[name]['all'], control['all'])})"
        for name in arms
    )
    lines = [
        f"A4 ({network}): share of pixels that get the same class as from the twin on x, same "
        f"seed: {same}. Two seeds on x: {told(over_seeds(control['all']), 2)}."
    ]
    for (_, b), name in zip(PAIRS, arms, strict=True):
        if b:
            border = paired(records, name, "loss_border")
            inside = paired(records, name, "loss_inside")
            lines.append(
                f"A4 ({network}): {name.partition(', ')[2]}, whose border is padded with 0 and not "
                f"with b: loss less that on x {told(over_seeds(border))} within {BORDER} px of the "
                f"border and {told(over_seeds(inside))} inside; at the border it is, beside the "
                f"inside, {weighed(difference(border, inside))}."
            )
    return [*lines, told_of_negative(network, records, equal)]


def told_of_negative(network: str, records: Records, equal: Mapping[str, Equal]) -> str:
    """Whether a negative a is another seed or a worse result."""
    a, b = PAIRS[3]
    name = f"{network}, {seen(a, b)}"
    loss = losses(records, name)
    like = likeness(equal[name]["all"], equal[f"{network}, x"]["all"])
    unsure = "another seed, and no worse result that could be told"
    if like != NOT_TOLD:
        unsure = f"no worse result that could be told, and {like}"
    found = {
        "one": "one seed, no finding",
        "none": unsure,
        "above": "a worse result",
        "below": "a better result",
    }[sign(loss)]
    return (
        f"A4 ({network}): a < 0 ({seen(a, b)}) begins with the signs of the first weights turned: "
        f"{found} (loss less that on x {weighed(loss)}; {like})."
    )


def likeness(shares: Sequence[float], control: Sequence[float]) -> str:
    """What an arm's shares of equal pixels say beside those of two seeds on x."""
    return {
        "one": "one seed, no finding",
        "none": NOT_TOLD,
        "above": "more alike than two seeds",
        "below": "less alike than two seeds",
    }[sign(difference(shares, control))]


# ---- the tables


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
        (name, len(runs), *(told(losses(records, name, column)) for column in columns))
        for name, runs in records.items()
        if not name.endswith(", x")
    ]
    header = (
        "", "seeds", "loss, nats", "inside", f"within {BORDER} px of the border", "accuracy",
        "ab error",
    )  # fmt: skip
    note = "Of so many 95 % intervals, one in twenty excludes 0 by chance."
    return Table("Trained on a*x + b less trained on x, seed by seed", header, rows, note)


STUDY = Study(
    name="affine-input",
    title="What changes if the network sees a*x + b instead of x",
    questions=("A4",),
    plan=plan,
    answer=answer,
)
