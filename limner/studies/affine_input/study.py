"""A4: what changes if the network sees a*x + b instead of x?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from matplotlib.figure import Figure

from limner.studies import answers, figures
from limner.studies.affine_input import twins
from limner.studies.affine_input.beside import (
    Equal,
    difference_table,
    equal_table,
    equal_to_twin,
    losses,
    paired,
    trained,
)
from limner.studies.affine_input.faint import (
    TURNED_STEPS,
    faint_table,
    faints,
    told_of_faint,
    turned,
)
from limner.studies.affine_input.twins import First, constructions, seen
from limner.studies.scoring import BORDER
from limner.studies.seeds import difference, over_seeds, told, unpaired
from limner.studies.study import Answer, Arms, Records, Setting, Study, seeded
from limner.studies.verdicts import sign, weighed

FAINT, INVERTED = (0.01, 0.0), (-1.0, 1.0)
# (a, b): raw levels; so faint that batch norm's epsilon counts; centered; inverted.
PAIRS = ((255.0, 0.0), FAINT, (1.0, -0.5), INVERTED)
NETWORKS = ("unet", "cnn")
NOT_TOLD = "not told from two seeds"
SAME = 1e-6  # a largest difference of losses below it is rounding, in float32


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    unet = setting.base
    arms: Arms = {}
    for network in NETWORKS:
        base = replace(unet, name=network, network=network)
        arms[f"{network}, x"] = seeded(base, 2 if setting.quick else 5)  # to tell seeds apart
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
    faint = seen(*FAINT)
    faint_runs = faints(arms[f"cnn, {faint}"])
    verdict = [*twins.verdict(aways), *told_of_first(firsts, records)]
    verdict.append(told_of_faint(faint_runs, faint))
    verdict.append(told_of_turned({n: turned(arms[f"{n}, x"][0]) for n in NETWORKS}))
    for network in NETWORKS:
        verdict += told_of_runs(network, records, equal)
    if setting.quick:
        verdict.append("A quick look: 1,000 pictures, 3 epochs, one seed of each a*x + b.")
    return Answer(
        verdict,
        tables={
            "construction": twins.construction_table(aways),
            "first": twins.first_table(firsts),
            "faint": faint_table(faint_runs, faint),
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
            **curve_figures(records),
            "pictures": figures.pictures(answers.picture_rows(records, setting.data)),
        },
        facts={
            "construction": {
                network: {seen(*pair): row._asdict() for pair, row in rows.items()}
                for network, rows in aways.items()
            },
            "first": {name: asdict(one) for name, one in firsts.items()},
            "faint": {
                "bias held" if held else "as always": [one._asdict() for one in runs]
                for held, runs in faint_runs.items()
            },
            "equal": equal,
            "loss": {name: answers.values(runs, "loss") for name, runs in records.items()},
        },
    )  # fmt: skip


# ---- the verdict


def told_of_first(firsts: Mapping[str, First], records: Records) -> list[str]:
    """What the size of a changes, in training and in validation, beside what the first norm and the
    last layer are handed: the norm behind the one, none behind the other."""
    x, large, faint = (firsts[pair] for pair in ("x", *(seen(*pair) for pair in PAIRS[:2])))
    names = [seen(*pair) for pair in PAIRS[:2]]
    cnn, unet = (
        "; ".join(
            f"{name}: training loss less that on x "
            f"{weighed(trained(records, f'{network}, {name}'))}, validation loss "
            f"{weighed(losses(records, f'{network}, {name}'))}"
            for name in names
        )
        for network in ("cnn", "unet")
    )
    return [
        f"A4 (cnn), a > 0 and b = 0: {cnn}. The picture enters "
        "through a batch norm alone, which divides a out until a^2 times the variance meets the "
        f"norm's epsilon ({x.eps:.0e}). At the first weights the norm sees a variance of "
        f"{x.variance:.2g} for x, {large.variance:.2g} for {names[0]} and {faint.variance:.2g} for "
        f"{names[1]}, and makes {x.normed:.3f}, {large.normed:.3f} and {faint.normed:.3f} of it.",
        f"A4 (unet), a > 0 and b = 0: {unet}. The first norm sees the same, and the picture's "
        "channel of the last layer has no norm behind it: at the first weights its part of the "
        f"logits has a deviation of {x.picture:.2g} for x, {large.picture:.2g} for {names[0]} and "
        f"{faint.picture:.2g} for {names[1]}.",
    ]


def told_of_turned(turned: Mapping[str, float]) -> str:
    """Why a negative a alone is another seed."""
    most = max(turned.values())
    found = "is another seed and nothing else" if most < SAME else "is NOT shown to be another seed"
    return (
        f"A4 ({', '.join(turned)}), a < 0 and b = 0: -x with the signs of the first weights turned "
        f"is x: over {TURNED_STEPS} updates their losses differ by at most {most:.1e}. The "
        f"first weights are drawn evenly about 0, so that -x {found}."
    )


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
    """Whether an inverted picture, whose border is another, gives a worse result."""
    name = f"{network}, {seen(*INVERTED)}"
    ours, theirs = (answers.values(records[arm], "loss") for arm in (name, f"{network}, x"))
    loss = unpaired(ours, theirs)
    like = likeness(equal[name]["all"], equal[f"{network}, x"]["all"])
    found = {
        "one": "one seed, no finding",
        "none": f"open: no difference is told, and none of up to {loss.high:.3f} is excluded",
        "above": "a worse result",
        "below": "a better result",
    }[sign(loss)]
    return (
        f"A4 ({network}): {seen(*INVERTED)}, the inverted picture, padded with 0 where x would be "
        f"padded with 1: loss less that on x {weighed(loss)} ({len(ours)} seeds and {len(theirs)}, "
        f"not paired; {like}): {found}."
    )


def likeness(shares: Sequence[float], control: Sequence[float]) -> str:
    """What an arm's shares of equal pixels say beside those of two seeds on x."""
    return {
        "one": "one seed, no finding",
        "none": NOT_TOLD,
        "above": "more alike than two seeds",
        "below": "less alike than two seeds",
    }[sign(difference(shares, control))]


# ---- the figures


def curve_figures(records: Records) -> dict[str, Figure]:
    """Training and validation loss of each network, by what it sees."""
    made = {}
    for network in NETWORKS:
        own = {
            name.partition(", ")[2]: runs
            for name, runs in records.items()
            if name.startswith(f"{network}, ")
        }
        for kind in ("training", "validation"):
            lines = {name: answers.curve(runs, kind, "loss") for name, runs in own.items()}
            made[f"{network}-{kind}-loss"] = figures.curves(lines, "updates", f"{kind} loss, nats")
    return made


STUDY = Study(
    name="affine-input",
    title="What changes if the network sees a*x + b instead of x",
    questions=("A4",),
    plan=plan,
    answer=answer,
    minutes=(0.5, 2),
)
