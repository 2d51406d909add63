"""A run's model file says what its averaged weights say, and its card where they come from."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from limner.card import Card, Model
from limner.errors import LimnerError, ModelError, TrainingError
from limner.learn import checkpoint, release
from limner.learn.export import load
from limner.learn.run import described
from limner.networks import Network, build
from limner.palette import Palette
from limner.recipe import Recipe

Finished = Callable[[str], Path]
Released = Callable[[], tuple[Card, Path]]


@pytest.fixture
def handed_over(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Network, Card]:
    """What a run of whole pictures hands to the export, which itself takes seconds."""
    given: list[tuple[Network, Card]] = []

    def keep(network: Network, card: Card, path: Path, overwrite: bool) -> None:
        given.append((network, card))

    monkeypatch.setattr(release, "export", keep)
    release.release(finished("whole"), tmp_path / "model.onnx", name="mine")
    return given[0]


def averaged(run: Path, average: bool = True) -> Network:
    """The run's network, put together here from its checkpoint: means where there are means."""
    document = described(run)
    recipe = Recipe.from_dict(document["recipe"])
    network = build(
        recipe.network, {"k": 3, "NF": 4, "NC": len(document["palette"]["colors"])}
    ).eval()
    tensors = checkpoint.load(run)[1]
    state = {
        name: tensors.get(f"ema/{name}", tensors[f"network/{name}"])
        if average
        else tensors[f"network/{name}"]
        for name in network.state_dict()
    }
    network.load_state_dict(state)
    return network


def logits(network: Network, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        said: np.ndarray = network(torch.from_numpy(x)).numpy()
    return said


def test_the_file_says_what_the_averaged_weights_say(
    finished: Finished, released: Released
) -> None:
    run, (_, path) = finished("crops"), released()
    x = np.random.default_rng(0).random((2, 1, 16, 24), dtype=np.float32)
    found = Model(path, device="cpu").run(x)
    np.testing.assert_allclose(found, logits(averaged(run), x), rtol=0, atol=1e-4)
    # Control: the weights of the last step say something else.
    assert np.abs(logits(averaged(run, average=False), x) - found).max() > 1e-3


def test_without_means_the_last_weights_are_the_models(
    finished: Finished, handed_over: tuple[Network, Card]
) -> None:
    x = np.random.default_rng(0).random((2, 1, 16, 24), dtype=np.float32)
    expected = logits(averaged(finished("whole"), average=False), x)
    assert np.array_equal(logits(handed_over[0], x), expected)


def check_card(card: Card, run: Path, recipe: Recipe) -> None:
    """What every card tells of its run."""
    assert card.task == "colorize"
    assert card.network["name"] == recipe.network
    assert card.network["arguments"]["NF"] == 4
    assert card.palette == Palette.from_json(described(run)["palette"])
    assert card.class_weights is None
    steps = checkpoint.load(run)[0]
    assert card.recipe == {
        **recipe.to_dict(),
        "steps_done": steps,
        "precision": "fp32",
        "from": None,
    }
    assert set(card.data) == {spec for spec, _ in recipe.sets()}
    assert "Krizhevsky" in card.license


def test_the_card_of_crops_tells_where_the_model_comes_from(
    finished: Finished, released: Released, recipes: dict[str, Recipe]
) -> None:
    card, path = released()
    check_card(card, finished("crops"), recipes["crops"])
    assert load(path)[1] == card == Model(path, device="cpu").card
    assert (card.name, card.input) == ("crops", "light")
    assert (card.stride, card.multiple) == (1, 8)
    assert card.working_size == 48  # 32..64 were seen: 45, in multiples of 8


def test_the_card_of_whole_pictures_tells_where_the_model_comes_from(
    finished: Finished, handed_over: tuple[Network, Card], recipes: dict[str, Recipe]
) -> None:
    card = handed_over[1]
    check_card(card, finished("whole"), recipes["whole"])
    assert (card.name, card.input) == ("mine", "mean")
    assert (card.stride, card.multiple) == (1, 4)
    assert card.working_size == 32


def test_the_terms_of_the_model_that_a_run_began_with_go_on(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Card] = []
    monkeypatch.setattr(
        release, "export", lambda network, card, path, overwrite: given.append(card)
    )
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    document = described(run)
    document["from"] = {"name": "elder", "sha256": "0", "data": {}, "license": "ask the owners"}
    (run / "run.json").write_text(json.dumps(document))
    release.release(run, tmp_path / "model.onnx")
    assert given[0].recipe["from"]["name"] == "elder"
    assert "Krizhevsky" in given[0].license
    assert "elder, from which they started: ask the owners" in given[0].license


def test_the_decoding_is_fitted_on_held_out_pictures_only(
    released: Released, handed_over: tuple[Network, Card]
) -> None:
    whole, crops = handed_over[1], released()[0]
    assert (whole.temperature, whole.chroma) == (1, 1)
    assert "holdout" not in whole.scores
    assert crops.temperature in release.TEMPERATURES
    assert crops.chroma in release.CHROMAS
    assert crops.scores["holdout"]["n"] == 7
    for row in ("ours", "grey"):
        interval = crops.scores["holdout"]["ab_error"][row]
        assert interval["low"] <= interval["value"] <= interval["high"]


class Constant(torch.nn.Module):
    """Says the same of every pixel: the logits of three classes."""

    stride, multiple = 1, 8

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, height, width = x.shape
        return self.values.reshape(1, -1, 1, 1).expand(n, -1, height, width)


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (60.0, (0.4, 1.3)),  # too shy: the sharpest (44 of 60), and the strongest
        (30.0, (1.2, 1.0)),  # too bold: the flattest (its mean at 1.2 is 0.58 x 60), as it is
        (36.0, (1.0, 1.0)),  # as sure as it is right: as it is
    ],
)
def test_the_decoding_is_the_one_with_the_least_error(
    monkeypatch: pytest.MonkeyPatch, truth: float, expected: tuple[float, float]
) -> None:
    """Two classes, a = 0 and a = 60, on pictures whose a is known."""
    palette = Palette("ab", np.array([[0, 0], [60, 0]]))
    recipe = Recipe(steps=1, size=16, holdout=3, palette="grid")
    network = Constant(0.0, float(np.log(0.6 / 0.4)))

    def pictures(*arguments: object) -> Iterator[np.ndarray]:
        yield from (np.zeros((8, 8, 3), np.uint8) for _ in range(3))

    def lab(picture: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.array([50, truth, 0], np.float32), picture.shape)

    monkeypatch.setattr(release, "held_out", pictures)
    monkeypatch.setattr(release, "rgb8_to_lab", lab)
    *decoding, scores = release.fit_decoding(network, recipe, palette)  # type: ignore[arg-type]
    assert tuple(decoding) == expected
    assert scores["holdout"]["ab_error"]["grey"]["value"] == pytest.approx(truth)


def test_held_out_pictures_are_cut_to_the_networks_multiple(recipes: dict[str, Recipe]) -> None:
    palette = Palette("ab", np.array([[0, 0], [60, 0]]))
    for multiple in (8, 48):
        held = list(release.held_out(recipes["crops"], palette, multiple))
        assert all(side % multiple == 0 for h in held for side in h.shape[:2])
        assert len(held) == (7 if multiple == 8 else 1)  # 32 x 32 is smaller than 48


@pytest.mark.parametrize(
    ("size", "zoom", "expected"),
    [(128, 0.5, 192), (128, 1.0, 128), (128, 0.25, 256), (8, 1.0, 32), (0, 1.0, 32)],
)
def test_the_working_size_lies_between_what_training_saw(
    size: int, zoom: float, expected: int
) -> None:
    assert release.usual_size(Recipe(steps=1, size=size, zoom=zoom), 32) == expected


def test_a_working_size_may_be_asked_for(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def keep(network: Network, card: Card, path: Path, overwrite: bool) -> None:
        sizes.append(card.working_size)

    monkeypatch.setattr(release, "export", keep)
    multiple = averaged(finished("whole")).multiple
    asked = 5 * multiple
    release.release(finished("whole"), tmp_path / "model.onnx", working_size=asked)
    assert sizes == [asked]
    for wrong in (0, asked + 1):
        with pytest.raises(ModelError, match=f"{wrong}: not a multiple of {multiple}, .*; take"):
            release.release(finished("whole"), tmp_path / "model.onnx", working_size=wrong)
    assert len(sizes) == 1


def test_what_is_no_whole_run_is_refused(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no run"):
        release.release(tmp_path, tmp_path / "model.onnx")
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    part = next(run.glob("*.safetensors"))
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="damaged"):
        release.release(run, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_run_on_an_affine_input_is_refused(finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "affine"
    shutil.copytree(finished("whole"), run)
    document = json.loads((run / "run.json").read_text())
    document["recipe"]["shift"] = 0.5
    (run / "run.json").write_text(json.dumps(document))
    with pytest.raises(TrainingError, match=r"saw 1 \* light \+ 0.5"):
        release.release(run, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_an_existing_file_is_kept_unless_told_otherwise(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"mine")
    with pytest.raises(ModelError, match="exists already"):
        release.release(finished("whole"), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"mine"


def test_a_run_whose_recipe_is_damaged_is_refused(
    finished: Finished, recipes: dict[str, Recipe], tmp_path: Path
) -> None:
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    document = json.loads((run / "run.json").read_text())
    document["recipe"] = replace(recipes["whole"], NF=8).to_dict()
    (run / "run.json").write_text(json.dumps(document))
    with pytest.raises(LimnerError) as error:
        release.release(run, tmp_path / "model.onnx")
    assert len(str(error.value).splitlines()) == 1
