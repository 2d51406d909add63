"""Records without runs: what a study's answer is tested on, and the sample data around them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from limner.dataset import CIFAR_CLASSES, CIFAR_RECORD, find
from limner.recipe import Recipe
from limner.studies import answers, figures, record
from limner.studies.record import FORMAT, Record, key, pack, palette_of
from limner.studies.scoring import Truth
from limner.studies.study import (
    WRITEUP,
    Answer,
    Arms,
    Records,
    Setting,
    Study,
    Table,
    seeded,
)

DATA = Path(__file__).parents[1] / "data"
SHOWN = 24  # pictures that a record keeps at most
SCORES = {  # of a record that nobody asked anything of
    "loss": 1.4, "accuracy": 0.47, "ab_error": 12.5, "de2000": 9.5, "ab_error_edges": 14.0,
    "loss_border": 1.45, "accuracy_border": 0.46, "loss_inside": 1.35, "accuracy_inside": 0.48,
    "colors": 20.0, "accuracy_alike": 0.7,
}  # fmt: skip

MakeRecord = Callable[..., Record]
MakeRecords = Callable[..., Records]


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def surroundings(session_cache: Path) -> Iterator[None]:
    """The sample data (31 horses, 8 to validate), never the user's cache, and one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMNER_DATA", str(DATA))
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        forget()
        yield
    forget()
    torch.set_num_threads(threads)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """A full study of the sample's horses."""
    return Setting("cifar10", False, tmp_path)


@pytest.fixture
def truth() -> Truth:
    """The sample's validation horses in the write-up's palette."""
    return answers.truth_of("cifar10", "val", palette_of(WRITEUP))


def forget() -> None:
    """Drop what was read of sets: a process of limner sees one LIMNER_DATA, this one several."""
    record.fingerprint.cache_clear()
    answers.truth_of.cache_clear()
    answers.lookup_of.cache_clear()
    answers.simple_answers.cache_clear()
    answers.lookup_by_class.cache_clear()


@pytest.fixture(scope="session")
def every_category(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder in CIFAR-10's format with pictures of every category: `Setting.data` takes it.

    The sample's own pictures, relabeled in turn: 4 of each category to train, 1 to validate.
    """
    folder = tmp_path_factory.mktemp("every") / "cifar"
    folder.mkdir()
    for file in ("data_batch_1.bin", "test_batch.bin"):
        content = np.fromfile(DATA / "cifar-10-batches-bin" / file, np.uint8)
        table = content.reshape(-1, CIFAR_RECORD)
        table[:, 0] = np.arange(len(table)) % len(CIFAR_CLASSES)
        table.tofile(folder / file)
    return str(folder)


@pytest.fixture
def make_record() -> MakeRecord:
    """make_record(recipe, scores={...}, ...): the record that such a run might leave.

    scores: what differs from SCORES, on every set; or `sets` {spec: scores} for each its own.
    classes: columns of `scoring.by_class` (lists of K) instead of even ones. training and
    validation: the losses of the curves instead of ones that fall to the score. pictures: the
    classes that are shown, [n, H, W], instead of random ones. parameters, seconds: as they are.
    """

    def make(
        recipe: Recipe = WRITEUP,
        scores: Mapping[str, float] | None = None,
        *,
        sets: Mapping[str, Mapping[str, float]] | None = None,
        classes: Mapping[str, Sequence[float]] | None = None,
        training: Sequence[float] | None = None,
        validation: Sequence[float] | None = None,
        pictures: NDArray[np.integer[Any]] | None = None,
        parameters: int = 112_344,
        seconds: float = 400.0,
    ) -> Record:
        palette = palette_of(recipe)
        K = len(palette)
        own = {
            spec: {**SCORES, **(scores or {}), **(sets or {}).get(spec, {})}
            for spec in specs(recipe)
        }
        first = next(iter(own.values()))
        if palette.space == "ab":
            for values in own.values():
                del values["accuracy_alike"]
        table = {name: [round(1 / K, 5)] * K for name in ("true", "predicted", "recall")}
        table |= {"grey": np.linspace(0, 255, K).round(5).tolist()}
        table |= {name: list(column) for name, column in (classes or {}).items()}
        shown = specs(recipe)[0]
        count = min(SHOWN, len(find(shown, "val")))
        if pictures is None:
            pictures = np.random.default_rng(recipe.seed).integers(0, K, (count, 32, 32))
        steps = recipe.steps or 50 * recipe.epochs
        training = training or falling(first["loss"] - 0.02, max(1, steps // 10))
        validation = validation or falling(first["loss"], recipe.epochs or 1)
        settings = recipe.to_dict()
        del settings["name"], settings["palette"]
        made: Record = {
            "format": FORMAT,
            "key": key(recipe),
            "settings": settings,
            "palette": palette.to_json(),
            "data": {spec: described(spec, recipe) for spec in specs(recipe)},
            "steps": steps,
            "seconds": seconds,
            "threads": 1,
            "precision": "fp32",
            "parameters": parameters,
            "training": {"step": evenly(steps, len(training)), "loss": list(training)},
            "validation": {
                "step": evenly(steps, len(validation)),
                "loss": list(validation),
                "accuracy": [first["accuracy"]] * len(validation),
            },
            "sets": {
                spec: {"n": len(find(spec, "val")), "scores": values, "classes": table}
                for spec, values in own.items()
            },
            "pictures": pack(pictures),
            "limner": "0.1.0",
            "torch": "2.14.1",
            "machine": "a processor, 2 cores, Linux",
            "commit": "0123456789",
        }
        return dict(json.loads(json.dumps(made)))  # what a file would give back

    return make


@pytest.fixture
def make_records(make_record: MakeRecord) -> MakeRecords:
    """make_records(arms, {arm: {score: value or one a seed}}, spread): records of all arms.

    An arm that is not named has SCORES. A single value is spread evenly over the arm's seeds, from
    value - spread/2 to value + spread/2, in the same order in every arm.
    """

    def make(
        arms: Arms,
        scores: Mapping[str, Mapping[str, float | Sequence[float]]],
        spread: float = 0.01,
    ) -> Records:
        records = {}
        for name, recipes in arms.items():
            runs = []
            for seed, recipe in enumerate(recipes):
                place = seed / (len(recipes) - 1) - 0.5 if len(recipes) > 1 else 0.0
                values = {
                    column: value[seed] if isinstance(value, Sequence) else value + spread * place
                    for column, value in scores.get(name, {}).items()
                }
                runs.append(make_record(recipe, values))
            records[name] = tuple(runs)
        return records

    return make


def specs(recipe: Recipe) -> list[str]:
    return [spec for spec, _ in recipe.sets()]


def described(spec: str, recipe: Recipe) -> dict[str, Any]:
    train = find(spec, "train")
    count = recipe.pictures or len(train)
    return {
        "split": "train", "pictures": count, "held_out": 0, "fingerprint": train.fingerprint(),
        "terms": train.terms,
    }  # fmt: skip


def falling(last: float, count: int) -> list[float]:
    """A curve from 3 down to `last`."""
    return [last + (3 - last) * (1 - (i + 1) / count) for i in range(count)]


def evenly(steps: int, count: int) -> list[int]:
    """`count` steps up to the last."""
    return [steps * (i + 1) // count for i in range(count)]


@pytest.fixture
def example(make_records: MakeRecords, tmp_path: Path) -> tuple[Study, Setting, Records]:
    """A study, asked in a folder of its own, and the records of its two arms."""

    def plan(setting: Setting) -> Arms:
        cnn = replace(setting.base, network="cnn")
        return {"unet": seeded(setting.base, 3), "cnn <b>&": seeded(cnn, 2)}

    def answer(setting: Setting, records: Records) -> Answer:
        rows = [(name, len(runs), 1.5) for name, runs in records.items()]
        figure = figures.curves({"unet": ([1, 2], [[2.0, 1.0]])}, "step", "loss")
        return Answer(
            verdict=["B3: 1 < 2 & <i>so on</i>.", "A second line."],
            tables={"scores": Table("Scores, of 2", ("", "seeds", "loss"), rows, "A note < 3.")},
            figures={"loss-curves": figure},
            facts={"difference": [0.25, 0.125]},
        )

    setting = Setting("cifar10", False, tmp_path / "studies" / "palette")
    study = Study("palette", 'Colors: "how many"?', ("A2", "B3"), plan, answer)
    (setting.folder / "runs").mkdir(parents=True)
    records = make_records(plan(setting), {})
    for made in (run for runs in records.values() for run in runs):
        (setting.folder / "runs" / f"{made['key']}.json").write_text(json.dumps(made))
    return study, setting, records
