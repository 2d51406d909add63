"""The commands beside `colorize`: what they pass on, and what they print."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.card import Card
from limner.palette import Palette

RUN = Callable[..., Any]
SAMPLES = Path(__file__).parents[1] / "data"

CARD = Card(
    name="tiny",
    task="colorize",
    network={"name": "unet", "arguments": {"k": 3, "NC": 2}},
    input="light",
    working_size=32,
    stride=1,
    multiple=4,
    palette=Palette("ab", np.array([[0, 0], [10, 20]], np.float32)),
    data={"album": {"split": "train", "pictures": 1234, "fingerprint": "0", "terms": "mine"}},
    scores={"holdout": {"n": 9, "ab_error": {"ours": {"value": 8.5, "low": 8.0, "high": 9.0}}}},
    license="mine",
)
SCORED = {
    "model": "tiny",
    "task": "colorize",
    "data": "album",
    "split": "val",
    "n": 2,
    "protocol": {"short_side": 256},
    "rows": {
        "ours": {
            "loss": {"value": 1.5, "low": 1.25, "high": 2.25},
            "auc": {"value": 0.9, "low": 0.85, "high": 0.95},
        },
        "grey": {"auc": {"value": 0.75, "low": 0.75, "high": 0.75}},
    },
}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file whose card is CARD, embedded under the name `tiny`."""
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"0" * 1_500_000)
    monkeypatch.setattr("limner.card.Model", lambda path: SimpleNamespace(card=CARD))
    monkeypatch.setattr("limner.weights.names", lambda: ("tiny",))
    monkeypatch.setattr("limner.weights.path", lambda name: path)
    return path


def test_models_says_what_they_are_and_on_what_terms(limner: RUN, model: Path) -> None:
    outcome = limner("models")
    assert outcome.code == 0
    for words in ("tiny", "1.5 MB", "unet k=3 NC=2", "album (1,234 pictures)", "terms       mine"):
        assert words in outcome.out
    assert "holdout, n 9: ab_error ours 8.5" in outcome.out
    assert "terms of their own" in outcome.err
    document = json.loads(limner("models", "--json").out)
    assert document["models"][0]["scores"] == CARD.scores
    assert "terms of their own" in document["terms"]


def test_no_models(limner: RUN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.weights.names", lambda: ())
    assert limner("models").out == ""
    assert json.loads(limner("models", "--json").out)["models"] == []


def test_evaluate_prints_a_table_and_its_protocol(
    limner: RUN, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def score(model: str, data: str, split: str, on_picture: Callable[[int, int], None]) -> Any:
        calls.append((model, data, split))
        on_picture(1, 2)
        return SCORED

    monkeypatch.setattr("limner.evaluate.evaluate", score)
    outcome = limner("evaluate", "tiny", "--data", "album", "--split", "test")
    assert calls == [("tiny", "album", "test")]
    assert outcome.out == (
        "              loss             auc\n"
        "ours  1.500 ±0.500  0.9000 ±0.0500\n"
        "grey             -  0.7500 ±0.0000\n"
        "\n"
        "model: tiny\ndata: album\nsplit: val\nn: 2\nshort_side: 256\n"
    )
    assert json.loads(limner("evaluate", "tiny", "--data", "album", "--json").out) == SCORED
    assert calls[1] == ("tiny", "album", "val")


def test_evaluate_of_a_model_that_is_not_there(limner: RUN) -> None:
    outcome = limner("evaluate", "nobody", "--data", str(SAMPLES / "sample"))
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "nobody" in outcome.err


def test_palette_learn_and_show(
    limner: RUN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_DATA", str(SAMPLES))
    file = tmp_path / "six.json"
    learn = ("palette", "learn", "--data", "cifar10:horse", "-k", 6, "--space", "rgb", "-o", file)
    assert limner(*learn).out == f"{file}\n"
    learned = Palette.load(file)
    assert (learned.space, len(learned)) == ("rgb", 6)

    again = limner(*learn)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert limner(*learn, "--overwrite", "--seed", 0).code == 0
    assert Palette.load(file) == learned

    rows = limner("palette", "show", file).out.splitlines()
    assert len(rows) == 6
    for row, (red, green, blue) in zip(rows, learned.swatches().tolist(), strict=True):
        assert row.endswith(f"#{red:02x}{green:02x}{blue:02x}")

    picture = tmp_path / "six.png"
    assert limner("palette", "show", file, "-o", picture).out == f"{picture}\n"
    with Image.open(picture) as image:
        swatches = np.asarray(image)[24::48, 24::48]
    assert np.array_equal(swatches[0], learned.swatches())


def test_palette_learn_refuses_before_it_learns(
    limner: RUN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.dataset.find", lambda *_: pytest.fail("the work has begun"))
    for output in (tmp_path / "missing" / "x.json", tmp_path, tmp_path / (300 * "x") / "x.json"):
        outcome = limner("palette", "learn", "--data", "photos", "-o", output)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert "folder" in outcome.err


def test_evaluate_prints_the_scores_of_masks(limner: RUN, monkeypatch: pytest.MonkeyPatch) -> None:
    half, none = {"value": 0.5, "low": 0.25, "high": 0.75}, {"value": 0, "low": 0, "high": 0}
    scored = {
        **{key: SCORED[key] for key in ("model", "data", "split", "n")},
        "task": "segment",
        "protocol": {"stride": 4},
        "pictures": {"background": 2, "cat": 1, "dog": 0, "cow": 0},
        "absent": ["dog", "cow"],
        "rows": {
            "ours": {
                "pixel_accuracy": half, "mean_iou": half, "mean_iou_covered": None,
                "iou": {"background": half, "cat": none},
            },
            "majority": {
                "pixel_accuracy": half, "mean_iou": none, "mean_iou_covered": None,
                "iou": {"background": none, "cat": none},
            },
        },
    }  # fmt: skip
    monkeypatch.setattr("limner.evaluate.evaluate", lambda *_, **more: scored)
    assert limner("evaluate", "tiny", "--data", "album").out == (
        "          pixel_accuracy      mean_iou  mean_iou_covered\n"
        "ours        0.500 ±0.250  0.500 ±0.250                 -\n"
        "majority    0.500 ±0.250  0.000 ±0.000                 -\n"
        "\n"
        "class       pictures           iou\n"
        "background         2  0.500 ±0.250\n"
        "cat                1  0.000 ±0.000\n"
        "without a true pixel, left out: dog, cow\n"
        "\n"
        "model: tiny\ndata: album\nsplit: val\nn: 2\nstride: 4\n"
    )
    assert json.loads(limner("evaluate", "tiny", "--data", "album", "--json").out) == scored


def test_evaluate_explains_every_row_and_column(limner: RUN) -> None:
    from limner.evaluate import color

    text = limner("evaluate", "--help").out
    names = set(re.findall(r"(?m)^ {4}([a-z0-9_]+) {2,}", text))
    code = Path(color.__file__).read_text()
    rows = set(re.findall(r'(?:chroma|logits)\["([a-z]+)"\]', code))
    assert {"ours", "grey", "mean", "truth", *rows} <= names
    assert {"other", "best", "majority", "lookup"} <= rows
    assert {"loss", "accuracy", "auc", "ab_error", "de2000", "psnr"} <= names
    assert {"colorfulness", "light_error"} <= names
    assert {"pixel_accuracy", "mean_iou", "mean_iou_covered"} <= names


def test_palette_grid(limner: RUN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_DATA", str(SAMPLES))
    file = tmp_path / "grid.json"
    learn = ("palette", "learn", "--data", "cifar10:all", "-o", file, "--grid")
    wrong = limner(*learn, "-k", 5)
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert limner(*learn).code == 0
    assert np.array_equal(Palette.load(file).colors % 10, np.zeros((len(Palette.load(file)), 2)))


def test_palette_show_of_a_model_and_of_an_embedded_palette(limner: RUN, model: Path) -> None:
    assert len(limner("palette", "show", "tiny").out.splitlines()) == 2
    assert len(limner("palette", "show", "horse24").out.splitlines()) == 24
    outcome = limner("palette", "show", "nothing")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Calls of the learning half, which is not run."""
    calls: list[tuple[Any, ...]] = []

    def start(recipe: Any, folder: Path, **options: Any) -> None:
        report = options.pop("report")
        report(50, 100, {"step": 50, "loss": 2.0})
        report(100, 100, {"step": 100, "validation": {"loss": 1.5, "accuracy": 0.5}})
        report(100, 100, None)
        calls.append(("start", recipe, folder, options))

    monkeypatch.setattr("limner.learn.fit.start", start)
    monkeypatch.setattr(
        "limner.learn.fit.resume", lambda folder, report: calls.append(("resume", folder))
    )
    monkeypatch.setattr(
        "limner.learn.release.release",
        lambda run, output, **options: calls.append((run, output, options)),
    )
    return calls


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text('name = "tiny"\nnetwork = "unet"\nsize = 32\nepochs = 1\n')
    return path


def test_train_starts_a_recipe(
    limner: RUN, fits: list[Any], recipe: Path, tmp_path: Path, model: Path
) -> None:
    run = tmp_path / "run"
    options = "--set learning_rate=0.5 --set network=cnn --data photos=9,early --from tiny"
    outcome = limner(
        "train", recipe, "-o", run, *options.split(), "--precision", "fp32", "--device", "cpu"
    )
    assert (outcome.code, outcome.out) == (0, f"{run}\n")
    kind, started, folder, rest = fits[0]
    assert (kind, folder) == ("start", run)
    assert (started.network, started.learning_rate, started.data) == (
        "cnn",
        0.5,
        ("photos=9", "early"),
    )
    assert rest == {"precision": "fp32", "device": "cpu", "source": model}
    assert "step 50 of 100: loss 2.0000" in outcome.err
    assert "step 100 of 100: validation loss 1.5000, accuracy 0.5000" in outcome.err


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A recipe to segment, whose last layer learns from a few views of each picture."""
    path = tmp_path / "classes.toml"
    path.write_text(
        'name = "classes"\ntask = "segment"\nnetwork = "deeplabv3"\nlearn = "classifier.4"\n'
        'encoder = "timm/test_efficientnet"\nwidth = 8\nsize = 32\n'
        "views = 2\nbatch = 2\nsteps = 9\n"
    )
    return path


def test_train_passes_its_short_options_to_the_recipe(
    limner: RUN, fits: list[Any], classes: Path, tmp_path: Path
) -> None:
    options = ["--cache", "bf16", "--class-weights", "root", "--foreground", "cat,dog"]
    assert limner("train", classes, "-o", tmp_path / "run", *options).code == 0
    recipe = fits[0][1]
    assert (recipe.cache, recipe.class_weights, recipe.foreground) == (
        "bf16",
        "root",
        ("cat", "dog"),
    )
    assert (recipe.views, recipe.steps) == (2, 9)
    assert limner("train", classes, "-o", tmp_path / "run").code == 0
    recipe = fits[1][1]
    assert (recipe.cache, recipe.class_weights, recipe.foreground) == ("none", "none", ())


def test_short_options_replace_a_setting_and_stand_beside_others(
    limner: RUN, fits: list[Any], classes: Path, tmp_path: Path
) -> None:
    options = "--set cache=bf16 --set epochs=3 --cache fp32 --foreground cat --set flip=true"
    assert limner("train", classes, "-o", tmp_path / "run", *options.split()).code == 0
    recipe = fits[0][1]
    assert (recipe.cache, recipe.foreground) == ("fp32", ("cat",))
    assert (recipe.epochs, recipe.steps, recipe.flip) == (3, 0, True)


def test_short_options_reach_the_run(
    limner: RUN, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What run.json tells, of two steps on two pictures."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.networks.deeplab.DeepLabV3.load_pretrained", lambda network: None)
    folder = make_set(tmp_path / "set")
    run = tmp_path / "run"
    options = "--cache fp32 --class-weights inverse --foreground dog,cat --set steps=2"
    outcome = limner(
        "train", classes, "-o", run, "--data", folder, *options.split(), "--precision", "fp32"
    )
    assert (outcome.code, outcome.out) == (0, f"{run}\n")
    document = json.loads((run / "run.json").read_text())
    told = {key: document["recipe"][key] for key in ("cache", "class_weights", "foreground")}
    assert told == {"cache": "fp32", "class_weights": "inverse", "foreground": ["dog", "cat"]}
    assert document["palette"]["names"] == ["background", "dog+cat"]
    assert "limner: features: 0 MB in " in outcome.err

    for option in ("--cache=fp32", "--class-weights=none", "--foreground=cat", "--foreground="):
        refused = limner("train", run, option)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert "a run goes on as it began" in refused.err


def make_set(folder: Path) -> Path:
    """Two pictures to learn from and two to validate on, with masks of three classes."""
    for part in ("train/images", "train/masks", "val/images", "val/masks"):
        (folder / part).mkdir(parents=True)
        for index in range(2):
            classes_of = np.kron([[0, 1], [2, 0]], np.full((20, 24), 1 + index)).astype(np.uint8)
            Image.fromarray(classes_of % 3).save(folder / part / f"{index}.png")
    (folder / "classes.txt").write_text("nothing\ncat\ndog\n")
    return folder


def test_a_run_without_room_for_its_features_goes_on_by_what_the_line_says(
    limner: RUN, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.networks.deeplab.DeepLabV3.load_pretrained", lambda network: None)
    folder = make_set(tmp_path / "set")
    options = ["--cache", "fp32", "--set", "steps=2", "--precision", "fp32", "--set", "views=2"]
    call = ["train", classes, "--data", folder, *options]
    run = tmp_path / "run"
    told = f"XDG_CACHE_HOME to another folder, and go on with: limner train {run} (or "
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1))
        for arguments in ([*call, "-o", run], ["train", run]):
            full = limner(*arguments)
            assert (full.code, full.out) == (2, "")
            assert told in full.err.splitlines()[-1]
    assert limner("train", run).out == f"{run}\n"
    fewer = limner(*call, "--set", "views=1", "-o", tmp_path / "other")
    assert fewer.out == f"{tmp_path / 'other'}\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--cache fp16", "fp16"),
        ("--class-weights twice", "twice"),
        ("--cache fp32 --set views=0", "views"),
        ("--class-weights root --set task=colorize --set network=cnn", "class_weights"),
    ],
)
def test_short_options_that_will_not_do_are_one_line(
    limner: RUN, fits: list[Any], classes: Path, tmp_path: Path, options: str, says: str
) -> None:
    outcome = limner("train", classes, "-o", tmp_path / "run", *options.split())
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert says in outcome.err
    assert fits == []


def test_train_goes_on_with_a_run(limner: RUN, fits: list[Any], tmp_path: Path) -> None:
    assert limner("train", tmp_path).code == 0
    assert fits == [("resume", tmp_path)]
    outcome = limner("train", tmp_path, "--set", "learning_rate=1")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert len(fits) == 1


def test_train_names_what_is_wrong_with_the_call(
    limner: RUN, fits: list[Any], recipe: Path, tmp_path: Path
) -> None:
    for arguments, says in (
        ((recipe,), "-o RUN"),
        ((recipe, "-o", tmp_path / "run", "--set", "lerning_rate=1"), "lerning_rate"),
        ((tmp_path / "no.toml", "-o", tmp_path / "run"), "no.toml"),
    ):
        outcome = limner("train", *arguments)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert says in outcome.err
    assert fits == []


def test_export_passes_on(limner: RUN, fits: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    options = ("--name", "x", "--working-size", "64", "--overwrite")
    outcome = limner("export", tmp_path, "-o", file, *options)
    assert (outcome.code, outcome.out) == (0, f"{file}\n")
    passed = {"name": "x", "working_size": 64, "overwrite": True}
    assert fits == [(tmp_path, file, passed)]


@pytest.mark.parametrize(
    ("call", "package"),
    [
        ("train r.toml -o run", "torch"),
        ("export run -o x.onnx", "torch"),
        ("palette learn --data x -o p.json", "PIL"),
    ],
)
def test_a_learning_command_without_its_extra_names_it(
    call: str, package: str, limner: RUN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.cli.terminal.find_spec", lambda name: None)
    outcome = limner(*call.split())
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert package in outcome.err
    assert "pip install '.[learn]'" in outcome.err


TOO_LONG = "x" * 300  # longer than a file system allows a name to be


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", f"{TOO_LONG}.toml", "-o", "run"),
        ("train", "RECIPE", "-o", TOO_LONG),
        ("export", "RUN", "-o", f"{TOO_LONG}.onnx"),
        ("palette", "show", TOO_LONG),
        ("palette", "learn", "--data", "sample", "-k", "2", "-o", f"{TOO_LONG}.json"),
    ],
    ids=["recipe", "run", "model", "shown palette", "learned palette"],
)
def test_a_name_that_is_too_long_is_one_line(
    limner: RUN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    samples = Path(__file__).parents[1] / "data"
    monkeypatch.setenv("LIMNER_DATA", str(samples))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("RECIPE").write_text('network = "cnn"\nNF = 4\nepochs = 1\n')
    Path("RUN").mkdir()
    outcome = limner(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1
    assert TOO_LONG in outcome.err or "RUN" in outcome.err
