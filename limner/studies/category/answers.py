"""What the study of categories compares: each category's networks and simple answers."""

from dataclasses import dataclass

from limner.dataset import CIFAR_CLASSES
from limner.lookup import Lookup
from limner.palette import Palette
from limner.studies import answers
from limner.studies.record import Record
from limner.studies.scoring import score
from limner.studies.study import Records, Setting

PICTURES = 1000  # of each category, to train on


def spec_of(setting: Setting, category: str) -> str:
    """The category's pictures in the data that the study is asked of."""
    return f"{setting.data.partition(':')[0]}:{category}"


@dataclass(frozen=True)
class Category:
    """One category: the network of its own, the common one on its pictures, and the look-ups'
    scores there: its own, counted on its pictures, and one counted on all categories'."""

    name: str
    spec: str
    own: tuple[Record, ...]
    common: tuple[Record, ...]
    lookup: dict[str, float]
    common_lookup: dict[str, float]
    best: dict[str, float]

    def beside_lookup(self, column: str = "loss") -> list[float]:
        """What its network has beside its look-up, one a seed."""
        return [value - self.lookup[column] for value in answers.values(self.own, column)]

    def shared(self, column: str = "loss") -> list[float]:
        """The common network's score less the own one's, one a seed."""
        ours, theirs = (answers.values(runs, column) for runs in (self.common, self.own))
        return [a - b for a, b in zip(ours, theirs, strict=False)]


def categories_of(setting: Setting, records: Records, palette: Palette) -> list[Category]:
    """The records with the simple answers, category by category."""
    specs = tuple(spec_of(setting, name) for name in CIFAR_CLASSES)
    together = lookup_of_all(specs, palette)
    found = []
    for place, (name, spec) in enumerate(zip(CIFAR_CLASSES, specs, strict=True)):
        simple = answers.simple_answers(spec, palette, PICTURES)
        truth = answers.truth_of(spec, "val", palette)
        found.append(
            Category(
                name, spec, records[name], tuple(part(run, place) for run in records["all"]),
                simple["grey look-up"], score(together.logits(truth.grey), truth),
                simple["best possible"],
            )
        )  # fmt: skip
    return found


def part(record: Record, place: int) -> Record:
    """The record as if its set at that place were the only one it was scored on.

    By place and not by name: a record may have been made under another name of the same data.
    """
    spec, scored = list(record["sets"].items())[place]
    return {**record, "sets": {spec: scored}}


def lookup_of_all(specs: tuple[str, ...], palette: Palette) -> Lookup:
    """One look-up counted on the training pictures of all categories."""
    truths = (answers.truth_of(spec, "train", palette) for spec in specs)
    pictures = ((truth.grey[:PICTURES], truth.classes[:PICTURES]) for truth in truths)
    return Lookup.count(pictures, len(palette))
