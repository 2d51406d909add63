"""Does what is learned of horses hold for other things, and for all things together?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from limner.dataset import CIFAR_CLASSES
from limner.palette import Palette
from limner.studies import answers, figures, verdicts
from limner.studies.category.answers import PICTURES, Category, categories_of, spec_of
from limner.studies.record import Record
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Answer, Arms, Records, Setting, Study, Table, seeded
from limner.studies.verdicts import seeds, sign, weighed

STEPS = 500  # 50 passes through PICTURES: the curves tell whether that is long enough, or too long
QUICK_STEPS = 30
VALIDATE = 10  # validations of a run
SURE = 0.05  # the p below which a correlation over categories is one
ALL_HORSES = "horse, all pictures"


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    steps = QUICK_STEPS if setting.quick else STEPS
    base = replace(
        setting.base, pictures=PICTURES, epochs=0, steps=steps, shuffle=True,
        validate=steps // VALIDATE,
    )  # fmt: skip
    sets = {category: spec_of(setting, category) for category in CIFAR_CLASSES}
    arms = {c: seeded(replace(base, name=c, data=(spec,)), seeds) for c, spec in sets.items()}
    arms["all"] = seeded(replace(base, name="all", data=tuple(sets.values())), seeds)
    if not setting.quick:
        more = replace(base, name=ALL_HORSES, data=(sets["horse"],), pictures=0)
        arms[ALL_HORSES] = seeded(more, seeds)
    return arms


def answer(setting: Setting, records: Records) -> Answer:
    palette = Palette.from_json(records["all"][0]["palette"])
    categories = categories_of(setting, records, palette)
    verdict = [
        told_of_difficulty(categories),
        told_of_own(categories),
        *told_of_common(categories),
        *told_of_all_horses(setting, records, palette),
        told_of_palette(categories),
        *verdicts.quick_look(setting, f"{QUICK_STEPS} updates"),
    ]
    return Answer(
        verdict,
        tables={
            "categories": category_table(categories),
            "scores": score_table(setting, records, categories),
        },
        figures={
            "beside-lookup": figures.bars(
                {one.name: over_seeds(one.beside_lookup()) for one in categories},
                "validation loss less the category's look-up's, nats", {},
            ),
            "common": figures.bars(
                {one.name: over_seeds(one.shared()) for one in categories},
                "loss of the common network less the own one's, nats", {},
            ),
            **{
                f"{kind}-loss": figures.curves(
                    {one.name: answers.curve(one.own, kind, "loss") for one in categories},
                    "updates", f"{kind} loss of each category's own network, nats",
                )
                for kind in ("training", "validation")
            },
            "pictures": figures.pictures(picture_rows(categories)),
        },
        facts={
            one.name: {
                "loss": answers.values(one.own, "loss"),
                "common": answers.values(one.common, "loss"),
                "lookup": one.lookup["loss"],
                "common_lookup": one.common_lookup["loss"],
            }
            for one in categories
        },
    )  # fmt: skip


# ---- the verdict


def by_seed(categories: Iterable[Category], column: str = "loss") -> list[tuple[float, ...]]:
    """The scores of each seed's networks of their own, one a category."""
    return list(zip(*(answers.values(one.own, column) for one in categories), strict=False))


def told_of_difficulty(categories: Sequence[Category]) -> str:
    """Whether the categories that are hard for the look-up are hard for the network."""
    lookups = [one.lookup["loss"] for one in categories]
    rows = by_seed(categories)
    rank = spearmanr(np.mean(rows, axis=0), lookups)
    order = sorted(categories, key=lambda one: np.mean(answers.values(one.own, "loss")))
    easy, hard = (
        f"{one.name} {told(over_seeds(answers.values(one.own, 'loss')))} (look-up "
        f"{one.lookup['loss']:.3f})"
        for one in (order[0], order[-1])
    )
    if len(rows) == 1:
        judged = "one seed, no finding"
    elif not rank.pvalue < SURE:
        judged = "that the look-up says which category is hard is not supported"
    elif rank.statistic > 0:
        judged = "what is hard for the look-up is hard for the network"
    else:
        judged = "what is hard for the look-up is easy for the network"
    return (
        f"Loss of the networks of one category: least for {easy}, most for {hard}; rank "
        f"correlation with the look-up's loss over {len(order)} categories {rank.statistic:.2f} "
        f"(p = {rank.pvalue:.3f}; Spearman 1904; mean of {seeds(len(rows))}): {judged}."
    )


def told_of_own(categories: Sequence[Category]) -> str:
    """What a category changes beside its look-up."""
    lookups = np.array([one.lookup["loss"] for one in categories])
    rows = np.array(by_seed(categories))  # [seeds, categories]
    spreads = [float(value) for value in (rows - lookups).std(axis=1, ddof=1)]
    plain = [float(value) for value in rows.std(axis=1, ddof=1)]
    less = difference(spreads, plain)
    over = over_seeds([float(value) for value in (rows - lookups).mean(axis=1)])
    ab = np.mean([one.beside_lookup("ab_error") for one in categories], axis=0)
    judged = {
        "one": "one seed, no finding",
        "none": "how much of the difference between categories is the look-up's cannot be told",
        "above": "the look-up does not explain the differences between categories",
        "below": "a part of what differs between categories is the look-up's",
    }[sign(less)]
    return (
        f"Beside its own look-up a network's loss is {weighed(over)} and its ab error "
        f"{weighed(over_seeds(ab.tolist()), digits=2)} in the mean of the categories; "
        f"losses spread by {told(over_seeds(plain))} over the categories, by "
        f"{told(over_seeds(spreads))} once each look-up's is taken off (look-ups: "
        f"{lookups.std(ddof=1):.3f}; {seeds(len(rows))}): {judged}."
    )


def told_of_palette(categories: Sequence[Category]) -> str:
    """What the categories are scored on, and how well the palette of horses fits them."""
    order = sorted(categories, key=lambda one: one.best["ab_error"])
    best, worst = (f"{one.best['ab_error']:.2f} for {one.name}" for one in (order[0], order[-1]))
    return (
        "Every category is scored on its own validation pictures, all in the palette learned from "
        f"horses, whose best possible ab error lies between {best} and {worst}."
    )


def told_of_common(categories: Sequence[Category]) -> list[str]:
    """How one network for all does against each category's own, beside the look-ups' case."""
    shared = {one.name: one.shared() for one in categories}
    mean = over_seeds([float(np.mean(row)) for row in zip(*shared.values(), strict=True)])
    signs: dict[str, list[str]] = {}
    for name, values in shared.items():
        signs.setdefault(sign(over_seeds(values)), []).append(name)
    lookups = float(np.mean([c.common_lookup["loss"] - c.lookup["loss"] for c in categories]))
    count = len(next(iter(shared.values())))
    if "one" in signs:
        listed = "one seed, no finding"
    else:
        words = {"above": "worse for", "below": "better for", "none": "not told apart for"}
        parts = [f"{words[key]} {', '.join(names)}" for key, names in sorted(signs.items())]
        listed = f"{'; '.join(parts)} (of ten 95 % intervals, one that excludes 0 is no rarity)"
    shared_lookup = (
        "that is what sharing costs without a network"
        if lookups > 0
        else "without a network sharing costs nothing"
    )
    return [
        f"One network for all ten categories, at as many updates, less each category's own: loss "
        f"{weighed(mean)} in the mean ({seeds(count)}); {listed}. It sees ten times the pictures, "
        "each a tenth as often.",
        f"One look-up for all ten less each category's own: loss {lookups:+.3f} in the mean: "
        f"{shared_lookup}.",
    ]


def told_of_all_horses(setting: Setting, records: Records, palette: Palette) -> list[str]:
    """What more pictures of horses bring at as many updates."""
    if ALL_HORSES not in records:
        return []
    spec = spec_of(setting, "horse")
    loss = {name: answers.values(records[name], "loss") for name in (ALL_HORSES, "horse")}
    change = difference(loss[ALL_HORSES], loss["horse"])
    few, many = (
        answers.simple_answers(spec, palette, pictures)["grey look-up"]["loss"]
        for pictures in (PICTURES, 0)
    )
    counts = [
        next(iter(records[name][0]["data"].values()))["pictures"] for name in (ALL_HORSES, "horse")
    ]
    return [
        f"Horses, {counts[0]:,} pictures instead of {counts[1]:,} at as many updates: loss "
        f"{weighed(change)} ({seeds(min(map(len, loss.values())))}); the look-up's "
        f"{many - few:+.3f}."
    ]


# ---- tables and figures


def category_table(categories: Sequence[Category]) -> Table:
    """A row a category: its network beside its look-up, the common network beside both."""
    rows: list[tuple[object, ...]] = [
        (
            one.name, next(iter(one.own[0]["sets"].values()))["n"], len(one.own),
            told(over_seeds(answers.values(one.own, "loss"))),
            f"{one.lookup['loss']:.3f}", told(over_seeds(one.beside_lookup())),
            told(over_seeds(answers.values(one.common, "loss"))), told(over_seeds(one.shared())),
            f"{one.common_lookup['loss'] - one.lookup['loss']:+.3f}",
            told(over_seeds(answers.values(one.own, "ab_error")), 2),
            f"{one.lookup['ab_error']:.2f}", f"{one.best['ab_error']:.2f}",
        )
        for one in categories
    ]  # fmt: skip
    header = (
        "", "validation pictures", "seeds", "loss, nats", "look-up's loss", "less the look-up's",
        "common network's loss", "common less own", "common look-up less own", "ab error",
        "look-up's ab error", "best possible ab error",
    )  # fmt: skip
    note = (
        f"Trained on the first {PICTURES:,} pictures of each category; the look-up is counted on "
        "the same. Common: trained on, or counted on, all ten. " + answers.PALETTE_NOTE
    )
    return Table("Category by category", header, rows, note)


def score_table(setting: Setting, records: Records, categories: Sequence[Category]) -> Table:
    """Every score of the networks and of the simple answers, category by category."""
    rows: list[tuple[object, ...]] = []
    header: tuple[str, ...] = ()
    for one in categories:
        arms: Mapping[str, Sequence[Record]] = {
            "own network": one.own,
            "common network": one.common,
        }
        if one.name == "horse" and ALL_HORSES in records:
            arms = {**arms, "own network, all pictures": records[ALL_HORSES]}
        table = answers.scores_table("", arms, one.spec)
        rows += [(one.name, *row) for row in table.rows]
        header = ("category", *table.header)
    note = (
        f"Look-up and majority are counted on the first {PICTURES:,} pictures of the category "
        f"alone, whatever the networks above them saw. {answers.PALETTE_NOTE}"
    )
    return Table("Scores of every category", header, rows, note)


def picture_rows(categories: Sequence[Category]) -> dict[str, Any]:
    """Input, truth, truth in the palette, and what each category's own network predicts."""
    rows: dict[str, Any] = {}
    for one in categories:
        found = answers.picture_rows({"own network": one.own}, one.spec)
        rows |= {f"{one.name}: {name}": row for name, row in found.items()}
    return rows


STUDY = Study(
    name="category",
    title="Does what holds for horses hold for other things, and for all together",
    questions=(),
    plan=plan,
    answer=answer,
)
