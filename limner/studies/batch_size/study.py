"""B4: is a smaller batch better, or are there just more updates in an epoch?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from limner.dataset import find
from limner.palette import Palette
from limner.studies import answers, figures, verdicts
from limner.studies.batch_size import edges, gap
from limner.studies.batch_size.gap import KINDS, SIZES, Sizes, of_kind
from limner.studies.record import Record
from limner.studies.seeds import over_seeds, told
from limner.studies.study import Answer, Arms, Records, Setting, Study, Table, seeded

WRITEUP = {50: (1.32, 0.50), 100: (1.36, 0.49), 500: (1.52, 0.43), 1000: (1.63, 0.41)}


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    unet = setting.base
    cnn = replace(unet, name="cnn", network="cnn")
    pictures = unet.pictures or len(find(setting.data, unet.split))
    an_epoch = math.ceil(pictures / unet.batch)  # 50 updates of the write-up's, and 1,250 in all
    arms: Arms = {}
    for size in SIZES:
        arms[f"unet, {size}, equal epochs"] = seeded(replace(unet, batch=size), seeds)
        arms[f"cnn, {size}, equal epochs"] = seeded(replace(cnn, batch=size), seeds)
    for size in SIZES:
        rate = unet.learning_rate * size / unet.batch
        scaled = replace(unet, batch=size, learning_rate=rate)
        arms[f"unet, {size}, scaled rate"] = seeded(scaled, seeds)
    for size in SIZES:
        # Of its own batch the recipe makes as many updates anyway, and is not paid for twice.
        steps = unet.epochs * an_epoch
        equal = replace(unet, batch=size, epochs=0, steps=steps, validate=an_epoch)
        recipe = unet if size == unet.batch else equal
        arms[f"unet, {size}, equal updates"] = seeded(recipe, seeds)
    return arms


def answer(setting: Setting, records: Records) -> Answer:
    palette = Palette.from_json(next(iter(records.values()))[0]["palette"])
    truth = answers.truth_of(setting.data, "val", palette)
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    smaller = SIZES[:2]
    return Answer(
        [
            *(gap.told_of_sizes(records, network) for network in ("unet", "cnn")),
            *(gap.told_of_updates(kinds, small) for small in smaller),
            *(gap.told_of_rate(kinds, small) for small in smaller),
            *edges.told_of_edges(kinds, truth),
            answers.PALETTE_NOTE,
            *verdicts.quick_look(setting, "3 epochs or 30 updates"),
        ],
        tables={
            "scores": answers.scores_table(
                "Scores by batch size", records, setting.data, answers.PALETTE_NOTE
            ),
            "sizes": size_table(setting, records, palette),
            "gaps": gap.gap_table(kinds),
            "edges": edges.edge_table(kinds, truth),
        },
        figures={**curve_figures(records), **picture_figures(kinds, setting.data)},
        facts={
            "loss": {name: answers.values(runs, "loss") for name, runs in records.items()},
            "gaps": {
                f"{small} to {SIZES[-1]}": {
                    kind: gap.gap(sizes, small) for kind, sizes in kinds.items()
                }
                for small in smaller
            },
        },
    )


# ---- tables and figures


def size_table(setting: Setting, records: Records, palette: Palette) -> Table:
    """Loss and accuracy by batch size beside the write-up's, and those of the simple answers."""
    rows: list[tuple[object, ...]] = []
    for size in SIZES:
        cells = [f"{WRITEUP[size][0]:.2f}, {100 * WRITEUP[size][1]:.0f} %"]
        for network, kind in (("unet", KINDS[0]), ("unet", KINDS[1]), ("unet", KINDS[2]),
                              ("cnn", KINDS[0])):  # fmt: skip
            runs = records[f"{network}, {size}, {kind}"]
            loss, accuracy = (over_seeds(answers.values(runs, c)) for c in ("loss", "accuracy"))
            cells.append(f"{told(loss)}, {told(accuracy)}")
        rows.append((size, *cells))
    simple = answers.simple_answers(setting.data, palette, setting.base.pictures)
    for name, scores in simple.items():
        both = ", ".join(answers.simple_cell(scores, column) for column in ("loss", "accuracy"))
        rows.append((name, "-", *[both] * (len(cells) - 1)))
    header = (
        "batch",
        "the write-up's UNet",
        *(f"UNet, {kind}" for kind in KINDS),
        "CNN, equal epochs",
    )
    note = "Validation loss in nats, accuracy. The CNN was trained at equal epochs only. "
    return Table("Loss and accuracy by batch size", header, rows, note + answers.PALETTE_NOTE)


def curve_figures(records: Records) -> dict[str, Figure]:
    """Training and validation loss by batch size: over epochs as the write-up's figures 2 and 3,
    and over updates."""
    made = {}
    for network in ("unet", "cnn"):
        sizes = of_kind(records, network, "equal epochs")
        for kind in ("training", "validation"):
            lines = {f"batch {size}": by_epoch(runs, kind) for size, runs in sizes.items()}
            made[f"{network}-{kind}-loss"] = figures.curves(lines, "epochs", f"{kind} loss, nats")
    for name, kind in (
        ("equal epochs", "validation"), ("equal updates", "training"),
        ("equal updates", "validation"),
    ):  # fmt: skip
        sizes = of_kind(records, "unet", name)
        by_update = {
            f"batch {size}": answers.curve(runs, kind, "loss") for size, runs in sizes.items()
        }
        title = f"unet-{kind}-loss-{name.replace(' ', '-')}-by-update"
        made[title] = figures.curves(by_update, "updates", f"{kind} loss, nats")
    return made


def by_epoch(runs: Sequence[Record], kind: str) -> figures.Line:
    """A loss curve over passes through the training pictures."""
    steps, losses = answers.curve(runs, kind, "loss")
    pictures = next(iter(runs[0]["data"].values()))["pictures"]
    batch = runs[0]["settings"]["batch"]
    return [step * batch / pictures for step in steps], losses


def picture_figures(kinds: Mapping[str, Sizes], spec: str) -> dict[str, Figure]:
    """Pictures by batch size, as the write-up's figure 1, for each way to compare."""
    return {
        f"pictures-{kind.replace(' ', '-')}": figures.pictures(
            answers.picture_rows({f"batch {size}": runs for size, runs in sizes.items()}, spec)
        )
        for kind, sizes in kinds.items()
    }


STUDY = Study(
    name="batch-size",
    title="Is a smaller batch better, or are there just more updates",
    questions=("B4",),
    plan=plan,
    answer=answer,
)
